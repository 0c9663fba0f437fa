package failover_test

// mutant names a rule that is switched off.
type mutant uint8

const (
	none mutant = iota
	nowait
	serveprev
	servenext
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
