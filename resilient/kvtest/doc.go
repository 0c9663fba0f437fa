// Package kvtest tests stores and what stands above them.
//
// Run is the contract of resilient.KV in executable form: every store and every
// decorator passes it. RunDecorated runs it on a store bare and under each
// decorator; RunPair demands of two stores that no caller can tell them apart.
// RunBenchmarks measures.
//
// Fault is a store that fails on command, Recorder an observer that remembers.
package kvtest
