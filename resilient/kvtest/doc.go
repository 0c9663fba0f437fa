// Package kvtest tests stores and what stands above them. The test of a store of
// one's own:
//
//	func TestMineObeysTheContract(t *testing.T) {
//		kvtest.Run(t, kvtest.Harness{Open: func(tb testing.TB) resilient.KVWithHealth {
//			return openMine(tb.TempDir()) // a new one each time; the suite closes it
//		}})
//	}
//
// Run is the contract of resilient.KV in executable form: every store and every
// decorator passes it. RunDecorated runs it on a store bare and under each
// decorator; RunPair demands of two stores that no caller can tell them apart.
// RunBenchmarks measures a store.
//
// Fault is a store that fails on command, Recorder an observer that remembers.
package kvtest
