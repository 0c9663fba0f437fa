package failover_test

// modelRule is a rule that can be switched off; everyRule: none is.
type modelRule uint8

const (
	everyRule modelRule = iota
	nowait
	serveprev
	servenext
	decideearly
	nooverlay
	norelookup
	ambfail
	ambrefuse
	ambown
	ambforget
	refforget
	partialfail
	nojournal
	lateintent
	stalehint
	recordintent
	lazyrevert
	rollback
	noquiesceWrite
	noquiesceHandback
	noquiesceClean
	taintack
	taintlate
	lateany
	norestarttaint
	handnolock
	noclean
	cleanack
	cleannolock
	nocleanrec
	cleanhit
	handcomplete
)

// modelMutant is a rule that is switched off, and where that must be seen.
type modelMutant struct {
	without modelRule
	name    string
	instead string // what is done without the rule
	seen    []model
}

// modelMutants has each rule of the group. Those of the design's mutants that
// are not here leave out something that is not built, or that nothing needs:
//   - prevdirect, taintdes, curactive, novalidate, ambread: a member that may be
//     read while the key's write is undecided. There is none: all reads wait.
//   - norelookup in Mirror: whatever a member has by then was written since the
//     read began, for nothing was owed when it looked up.
//   - viewearly: the members written to are taken before the key's lock. The
//     members never change, and the model has them in any order.
//   - nobarrier, skipowed, owelazy, resumeowed, rebuildraw, delraw, copynolock,
//     delnolock, keepunlisted, rebuildamb, noquiesce-rebuild, completelate,
//     markbegun, markcopied, memcomplete: Rebuild.
func modelMutants() []modelMutant {
	wr, wrr, wwr, wwrr := modelOps("W1 R"), modelOps("W1 R R"), modelOps("W1 W2 R"), modelOps("W1 W2 R R")
	return []modelMutant{
		{nowait, "nowait", "a read goes to a member though a write of its key is undecided",
			[]model{{mode: inMirror, memory: true, ops: wrr}, {mode: inHandoff, memory: true, ops: wrr}}},
		{serveprev, "serveprev", "a read gets the previous version while a write is undecided",
			[]model{{mode: inMirror, memory: true, ops: wwrr}, {mode: inHandoff, memory: true, ops: wwrr}}},
		{servenext, "servenext", "a read gets the new version before it is decided",
			[]model{{mode: inMirror, memory: true, ops: wr, downs: 2}, {mode: inHandoff, memory: true, ops: wr, downs: 2}}},
		{decideearly, "decideearly", "in Handoff an ambiguous answer decides a write that is not on disk yet",
			[]model{{mode: inHandoff, ops: wr, losses: 1, crashes: 1}}},
		{nooverlay, "nooverlay", "a member is read that is owed the version",
			[]model{{mode: inMirror, memory: true, ops: wr}, {mode: inHandoff, memory: true, ops: wr}}},
		{norelookup, "norelookup", "a read that was refused goes to the next member without a look-up",
			[]model{{mode: inHandoff, memory: true, ops: wwr, downs: 1}}},
		{ambfail, "ambfail", "an ambiguous write is forgotten",
			[]model{{mode: inMirror, memory: true, ops: wr, losses: 1}, {mode: inHandoff, memory: true, ops: wr, losses: 2}}},
		{ambrefuse, "ambrefuse", "an ambiguous write is taken for a refused one",
			[]model{{mode: inMirror, memory: true, ops: wr, losses: 1}, {mode: inHandoff, memory: true, ops: wr, losses: 2}}},
		{ambown, "ambown", "a write without an OK is not owed to those that refused it",
			[]model{{mode: inMirror, memory: true, ops: wr, downs: 1, losses: 1}}},
		{ambforget, "ambforget", "a member whose answer was ambiguous is not owed the write",
			[]model{{mode: inMirror, memory: true, ops: wr, losses: 1}, {mode: inHandoff, memory: true, ops: wr, losses: 1}}},
		{refforget, "refforget", "a member that refused is not owed the write",
			[]model{{mode: inMirror, memory: true, ops: wr, downs: 1}, {mode: inHandoff, memory: true, ops: wr, downs: 1}}},
		{partialfail, "partialfail", "a write that the first refused and the second has is called refused",
			[]model{{mode: inMirror, memory: true, ops: wr, downs: 1}}},
		{nojournal, "nojournal", "what is owed is not durable before the answer",
			[]model{{mode: inMirror, ops: wr, crashes: 1}, {mode: inHandoff, ops: wr, losses: 1, crashes: 1}}},
		{lateintent, "lateintent", "the intent is not durable before anything is sent",
			[]model{{mode: inStrict, ops: wr, crashes: 1}, {mode: inHandoff, ops: wr, crashes: 1}}},
		{stalehint, "stalehint", "a key whose record is not removed from disk yet is written without an intent",
			[]model{{mode: inMirror, ops: wwr, crashes: 1}, {mode: inHandoff, ops: wwr, crashes: 1}}},
		{recordintent, "recordintent", "a recorded key is written without an intent, but recorded before the answer",
			[]model{{mode: inHandoff, ops: wwr, crashes: 1}}},
		{lazyrevert, "lazyrevert", "a refused write is taken back on disk only later",
			[]model{{mode: inStrict, ops: wr, downs: 2, crashes: 1}, {mode: inHandoff, ops: wr, downs: 2, crashes: 1}}},
		{rollback, "rollback", "a restart forgets what has an intent",
			[]model{{mode: inMirror, ops: wwr, crashes: 1}, {mode: inStrict, ops: wr, crashes: 1}, {mode: inHandoff, ops: wr, crashes: 1}}},
		{noquiesceWrite, "noquiesce-write", "a write that was abandoned leaves no taint",
			[]model{{mode: inMirror, memory: true, ops: wwr, losses: 1}, {mode: inHandoff, memory: true, ops: wr, losses: 1}}},
		{noquiesceHandback, "noquiesce-handback", "a version is handed back to a tainted member",
			[]model{{mode: inMirror, memory: true, ops: wwr, losses: 1}, {mode: inHandoff, memory: true, ops: wwr, losses: 1}}},
		{noquiesceClean, "noquiesce-clean", "a copy is removed from a tainted member",
			[]model{{mode: inHandoff, memory: true, ops: wr, losses: 1}}},
		{taintack, "taintack", "the OK of a tainted member clears what it is owed",
			[]model{{mode: inMirror, memory: true, ops: wwr, losses: 1}, {mode: inHandoff, memory: true, ops: wwr, losses: 1}}},
		{taintlate, "taintlate", "the OK of a member clears what it is owed, though it was tainted when the call was sent",
			[]model{{mode: inMirror, memory: true, ops: wwr, losses: 1}, {mode: inHandoff, memory: true, ops: wwr, losses: 1}}},
		{lateany, "lateany", "a late OK clears what is owed, though of an older version",
			[]model{{mode: inMirror, memory: true, ops: wwr, losses: 1, leaving: true}, {mode: inHandoff, memory: true, ops: wwr, losses: 1, leaving: true}}},
		{norestarttaint, "norestarttaint", "after a crash no member is tainted",
			[]model{{mode: inMirror, ops: wwr, crashes: 1}, {mode: inStrict, ops: wwr, crashes: 1}, {mode: inHandoff, ops: wr, crashes: 1}}},
		{handnolock, "handnolock", "a version is handed back without the key's lock",
			[]model{{mode: inMirror, memory: true, ops: wwr}, {mode: inHandoff, memory: true, ops: wwr}}},
		{noclean, "noclean", "what the second got is not removed there",
			[]model{{mode: inHandoff, memory: true, ops: wr}}},
		{cleanack, "cleanack", "only what the second answered OK to is removed there",
			[]model{{mode: inHandoff, memory: true, ops: wr, losses: 1}}},
		{cleannolock, "cleannolock", "a copy is removed without the key's lock",
			[]model{{mode: inHandoff, memory: true, ops: wwr}}},
		{nocleanrec, "nocleanrec", "the record goes with the hand-back, though a removal is owed",
			[]model{{mode: inHandoff, ops: wwr, crashes: 1}}},
		{cleanhit, "cleanhit", "the second is read though its copy is to be removed",
			[]model{{mode: inHandoff, memory: true, ops: wwr}}},
		{handcomplete, "handcomplete", "a miss at the second is an answer in Handoff",
			[]model{{mode: inHandoff, memory: true, ops: modelOps("R")}}},
	}
}
