package failover_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

func TestHealthIsNilWhileSomeMemberCanServe(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		require.NoError(t, r.kv.Health(r.ctx))
		r.away(0)
		require.NoError(t, r.kv.Health(r.ctx))
		r.away(1)
		err := r.kv.Health(r.ctx)
		require.ErrorIs(t, err, resilient.ErrUnavailable)
		var e *failover.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, resilient.OpHealth, e.Op)
		r.back(1)
		require.NoError(t, r.kv.Health(r.ctx))
	})
}

func TestHealthCountsNoDrainedMember(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		require.NoError(t, r.kv.Drain(r.name(1)))
		require.NoError(t, r.kv.Health(r.ctx))
		r.away(0)
		require.Error(t, r.kv.Health(r.ctx))
	})
}

func TestHealthAndStatusAskNobody(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.faults[0].Hang()
		r.faults[1].Hang()
		calls := r.faults[0].Calls() + r.faults[0].Count(resilient.OpHealth)
		require.Zero(t, took(func() {
			require.NoError(t, r.kv.Health(r.ctx), "as far as is known")
			_ = r.kv.Status()
			ended, cancel := context.WithCancel(r.ctx)
			cancel()
			require.Equal(t, context.Canceled, r.kv.Health(ended))
		}))
		require.Equal(t, calls, r.faults[0].Calls()+r.faults[0].Count(resilient.OpHealth))
	})
}

func TestTheConditionSaysWhetherTheGroupServesAsItShould(t *testing.T) {
	for name, c := range map[string]struct {
		make func(r *rig)
		want resilient.Condition
	}{
		"all is well":                     {func(*rig) {}, resilient.Up},
		"the first member is away":        {func(r *rig) { r.away(0) }, resilient.Degraded},
		"the second member is away":       {func(r *rig) { r.away(1) }, resilient.Degraded},
		"the first member is held back":   {func(r *rig) { r.away(0); r.back(0) }, resilient.Degraded},
		"the first member is wanted back": {func(r *rig) { r.away(0); r.back(0); r.activates(0) }, resilient.Up},
		"the first member is suspect":     {func(r *rig) { r.set("k", "v"); r.faults[0].Hang(); r.reads("k", "v") }, resilient.Degraded},
		"a write is owed":                 {func(r *rig) { r.faults[1].AckLost(1); r.set("k", "v") }, resilient.Degraded},
		"it has been handed back":         {func(r *rig) { r.faults[1].AckLost(1); r.set("k", "v"); r.rest() }, resilient.Up},
		"the second member is drained":    {func(r *rig) { require.NoError(r.t, r.kv.Drain(r.name(1))) }, resilient.Degraded},
		"one drained, the other away":     {func(r *rig) { require.NoError(r.t, r.kv.Drain(r.name(1))); r.away(0) }, resilient.Down},
		"all are away":                    {func(r *rig) { r.away(0); r.away(1) }, resilient.Down},
		"all are drained": {func(r *rig) {
			require.NoError(r.t, r.kv.Drain(r.name(0)))
			require.NoError(r.t, r.kv.Drain(r.name(1)))
		}, resilient.Down},
	} {
		t.Run(name, func(t *testing.T) {
			inRig(t, 2, nil, func(r *rig) {
				c.make(r)
				require.Equal(t, c.want, r.kv.Status().Condition)
			})
		})
	}
}

func TestStatusIsThatOfTheGroupAndOfEachMember(t *testing.T) {
	began := time.Time{}
	inRig(t, 3, func(cfg *failover.Config) { cfg.Name = "sessions"; began = time.Now() }, func(r *rig) {
		st := r.kv.Status()
		require.Equal(t, "sessions", st.Name)
		require.Equal(t, "failover", st.Kind)
		require.Equal(t, "mem", st.Active)
		require.Equal(t, r.kv.Active(), st.Active)
		require.Empty(t, st.State)
		require.Equal(t, began, st.Since)
		require.Len(t, st.Members, 3)
		for i, m := range st.Members {
			require.Equal(t, []string{"mem", "mem-2", "mem-3"}[i], m.Name)
			require.Equal(t, resilient.Up, m.Condition)
			require.Equal(t, "closed", m.State)
			require.False(t, m.LastProbe.Time.IsZero())
		}

		r.away(0)
		switched := r.last(resilient.KindSwitch, func(resilient.Event) bool { return true })
		r.set("k", "v")
		st = r.kv.Status()
		require.Equal(t, "mem-2", st.Active)
		require.Equal(t, switched.Time, st.Since)
		require.Equal(t, switched.Reason, st.Reason)
		require.Equal(t, resilient.Down, st.Members[0].Condition)
		require.Equal(t, []int{1, 0, 0}, []int{st.Members[0].Owed, st.Members[1].Owed, st.Members[2].Owed})
	})
}

func TestStatusSaysWhoIsDrainedAndThatNobodyIsReadOnly(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		drained := func() (d []bool) {
			st := r.kv.Status()
			require.False(t, st.ReadOnly, "another member takes the writes")
			return append(d, st.Members[0].Drained, st.Members[1].Drained)
		}
		require.Equal(t, []bool{false, false}, drained())
		require.NoError(t, r.kv.Drain(r.name(0)))
		require.Equal(t, []bool{true, false}, drained())
		require.NoError(t, r.kv.Release(r.name(0)))
		require.Equal(t, []bool{false, false}, drained())
	})
}

func TestStatusCountsTheCallsUnderWay(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.faults[0].Latency(time.Second / 2)
		go func() { _, _ = r.kv.GetRaw(r.ctx, "k") }()
		go func() { _, _ = r.kv.List(r.ctx, "") }()
		time.Sleep(time.Second / 4)
		st := r.kv.Status()
		require.Equal(t, 2, st.InFlight)
		require.Equal(t, 2, st.Members[0].InFlight)
		time.Sleep(time.Second)
		require.Zero(t, r.kv.Status().InFlight)
	})
}

// receipts are the calls whose receipt and Done event a table tells.
var receipts = map[string]struct {
	op   resilient.Op
	call func(ctx context.Context, kv *failover.KV) error
}{
	"get":  {resilient.OpGet, func(ctx context.Context, kv *failover.KV) error { _, err := kv.GetRaw(ctx, "k"); return err }},
	"miss": {resilient.OpGet, func(ctx context.Context, kv *failover.KV) error { _, err := kv.GetRaw(ctx, "nobody"); return err }},
	"list": {resilient.OpList, func(ctx context.Context, kv *failover.KV) error { _, err := kv.List(ctx, ""); return err }},
	"batch get": {resilient.OpBatchGet, func(ctx context.Context, kv *failover.KV) error {
		_, err := kv.BatchGetRaw(ctx, []string{"k"})
		return err
	}},
	"set":    {resilient.OpSet, func(ctx context.Context, kv *failover.KV) error { return kv.SetRaw(ctx, "s", []byte("v")) }},
	"delete": {resilient.OpDelete, func(ctx context.Context, kv *failover.KV) error { return kv.Delete(ctx, "d") }},
	"batch set": {resilient.OpBatchSet, func(ctx context.Context, kv *failover.KV) error {
		return kv.BatchSetRaw(ctx, map[string][]byte{"s1": nil, "s2": nil})
	}},
	"batch delete": {resilient.OpBatchDelete, func(ctx context.Context, kv *failover.KV) error { return kv.BatchDelete(ctx, []string{"d1", "d2"}) }},
}

func TestTheReceiptAndTheDoneEventSayWhoServed(t *testing.T) {
	for state, c := range map[string]struct {
		make   func(r *rig)
		reads  resilient.Receipt
		writes resilient.Receipt
	}{
		"all is well": {func(*rig) {}, resilient.Receipt{Store: "mem"}, resilient.Receipt{Store: "mem"}},
		"the first is away": {
			func(r *rig) { r.away(0) },
			resilient.Receipt{Store: "mem-2", Degraded: true}, resilient.Receipt{Store: "mem-2", Degraded: true, Owed: 1},
		},
		"two are away": {
			func(r *rig) { r.away(0); r.away(1) },
			resilient.Receipt{Store: "mem-3", Degraded: true}, resilient.Receipt{Store: "mem-3", Degraded: true, Owed: 2},
		},
		"the last is away": {func(r *rig) { r.away(2) }, resilient.Receipt{Store: "mem"}, resilient.Receipt{Store: "mem", Owed: 1}},
		"the first is held back": {
			func(r *rig) { r.away(0); r.back(0) },
			resilient.Receipt{Store: "mem-2", Degraded: true}, resilient.Receipt{Store: "mem-2", Degraded: true},
		},
		"the first fails": {
			func(r *rig) { r.faults[0].Down() },
			resilient.Receipt{Store: "mem-2", Degraded: true}, resilient.Receipt{Store: "mem-2", Degraded: true, Owed: 1},
		},
	} {
		for name, call := range receipts {
			t.Run(state+", "+name, func(t *testing.T) {
				inRig(t, 3, nil, func(r *rig) {
					r.set("k", "v")
					c.make(r)
					want := c.reads
					if call.op.Writes() {
						want = c.writes
					}
					r.events.Reset()
					got := resilient.Receipt{Stale: true, Age: 1} // of an earlier call
					err := call.call(resilient.WithReceipt(r.ctx, &got), r.kv)
					class := resilient.OK
					if name == "miss" {
						require.ErrorIs(t, err, resilient.ErrNotFound)
						class = resilient.Missing
					} else {
						require.NoError(t, err)
					}
					require.Equal(t, want, got)

					done := r.events.Of(resilient.KindDone)
					require.Len(t, done, 1)
					require.Equal(t, resilient.Event{
						Kind: resilient.KindDone, Time: time.Now(), Group: "failover", Store: want.Store, Op: call.op, Class: class,
						Count: want.Owed, Degraded: want.Degraded, Err: err,
					}, done[0])
				})
			})
		}
	}
}

// What is read from what the group keeps for its members is as new as any
// member's answer: it is not degraded, and the group itself has served it.
func TestAReadOfWhatIsOwedIsServedByTheGroup(t *testing.T) {
	inRig(t, 2, func(cfg *failover.Config) { cfg.Name = "sessions" }, func(r *rig) {
		r.away(0)
		r.set("k", "v")
		require.NoError(t, r.kv.Delete(r.ctx, "gone"))
		for name, read := range map[string]func(ctx context.Context) error{
			"get":       func(ctx context.Context) error { _, err := r.kv.GetRaw(ctx, "k"); return err },
			"miss":      func(ctx context.Context) error { _, err := r.kv.GetRaw(ctx, "gone"); return err },
			"batch get": func(ctx context.Context) error { _, err := r.kv.BatchGetRaw(ctx, []string{"k", "gone"}); return err },
		} {
			r.events.Reset()
			var got resilient.Receipt
			err := read(resilient.WithReceipt(r.ctx, &got))
			if err != nil {
				require.ErrorIs(t, err, resilient.ErrNotFound, name)
			}
			require.Equal(t, resilient.Receipt{Store: "sessions"}, got, name)
			done := r.events.Of(resilient.KindDone)
			require.Len(t, done, 1, name)
			require.Equal(t, "sessions", done[0].Store, name)
			require.Equal(t, "sessions", done[0].Group, name)
			require.False(t, done[0].Degraded, name)
		}
	})
}

func TestACallThatFailsHasOneDoneEventToo(t *testing.T) {
	inRig(t, 2, unbreakable, func(r *rig) {
		for name, c := range map[string]struct {
			make      func()
			class     resilient.Class
			ambiguous bool // of writes
		}{
			"refused by all":   {func() { r.faults[0].Down(); r.faults[1].Down() }, resilient.Refused, false},
			"ambiguous at all": {func() { r.faults[0].AckLost(9); r.faults[1].AckLost(9) }, resilient.Failed, true},
		} {
			for which, call := range receipts {
				if c.ambiguous && !call.op.Writes() {
					continue
				}
				r.faults[0].Up()
				r.faults[1].Up()
				r.rest()
				c.make()
				r.events.Reset()
				err := call.call(r.ctx, r.kv)
				require.Error(t, err)
				done := r.events.Of(resilient.KindDone)
				require.Len(t, done, 1, "%s, %s", name, which)
				require.Equal(t, c.class, done[0].Class, "%s, %s", name, which)
				require.Equal(t, call.op, done[0].Op)
				require.Equal(t, c.ambiguous, done[0].Ambiguous, "%s, %s", name, which)
				require.False(t, done[0].Degraded)
				require.Equal(t, err, done[0].Err)
			}
		}
	})
}

func TestDoneTellsHowLongTheCallerWaited(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.faults[0].Latency(300 * time.Millisecond)
		_, err := r.kv.GetRaw(r.ctx, "k")
		require.ErrorIs(t, err, resilient.ErrNotFound)
		require.Equal(t, 300*time.Millisecond, r.events.Of(resilient.KindDone)[0].Duration)
	})
}

// sentinels are those that tell a caller what became of its call.
var sentinels = map[string]error{
	"unavailable": resilient.ErrUnavailable, "refused": resilient.ErrRefused, "ambiguous": resilient.ErrAmbiguous,
	"not found": resilient.ErrNotFound, "uncertain": failover.ErrUncertain, "journal full": failover.ErrJournalFull,
	"read only": failover.ErrReadOnly, "closed": resilient.ErrClosed, "busy": resilient.ErrBusy, "canceled": context.Canceled,
	"deadline": context.DeadlineExceeded, "invalid key": resilient.ErrInvalidKey, "value too large": resilient.ErrValueTooLarge,
	"timeout": resilient.ErrTimeout,
}

// matches returns the names of the sentinels that err matches.
func matches(err error) (names []string) {
	names = []string{}
	for name, target := range sentinels {
		if errors.Is(err, target) {
			names = append(names, name)
		}
	}
	return names
}

func TestAnErrorMatchesTheSentinelsOfItsOwnClassOnly(t *testing.T) {
	secret := errors.New("torn")
	get := func(ctx context.Context, r *rig) error { _, err := r.kv.GetRaw(ctx, "a-key"); return err }
	set := func(ctx context.Context, r *rig) error { return r.kv.SetRaw(ctx, "a-key", []byte("a-value")) }
	for name, c := range map[string]struct {
		make    func(r *rig)
		call    func(ctx context.Context, r *rig) error
		class   resilient.Class
		members []resilient.Class
		matches []string
	}{
		"a read that all refuse": {
			func(r *rig) { r.faults[0].Down(); r.faults[1].Down() }, get,
			resilient.Refused, []resilient.Class{resilient.Refused, resilient.Refused}, []string{"unavailable", "refused"},
		},
		"a read that one refuses and one fails": {
			func(r *rig) { r.faults[0].Down(); r.faults[1].FailReads(secret) }, get,
			resilient.Failed, []resilient.Class{resilient.Refused, resilient.Failed}, []string{"unavailable"},
		},
		"a read that one fails and one refuses": {
			func(r *rig) { r.faults[0].FailReads(secret); r.faults[1].Down() }, get,
			resilient.Failed, []resilient.Class{resilient.Failed, resilient.Refused}, []string{"unavailable"},
		},
		"a read that nobody answers in time": {
			func(r *rig) { r.faults[0].Hang(); r.faults[1].Hang() }, get,
			resilient.Failed, []resilient.Class{resilient.Failed, resilient.Failed}, []string{"unavailable"},
		},
		"a read while the second is wanted more": {
			func(r *rig) {
				r.faults[0].Hang()
				_, err := r.kv.List(r.ctx, "") // the first is suspect now
				require.NoError(r.t, err)
				r.faults[1].FailReads(secret)
			}, get,
			resilient.Failed, []resilient.Class{resilient.Failed, resilient.Failed}, []string{"unavailable"},
		},
		"a write that all refuse": {
			func(r *rig) { r.faults[0].Down(); r.faults[1].FailWrites(nil) }, set,
			resilient.Refused, []resilient.Class{resilient.Refused, resilient.Refused}, []string{"unavailable", "refused"},
		},
		"a write that one refuses and one fails": {
			func(r *rig) { r.faults[0].Down(); r.faults[1].FailWrites(secret) }, set,
			resilient.Failed, []resilient.Class{resilient.Refused, resilient.Failed}, []string{"unavailable", "ambiguous"},
		},
		"a write whose answers are lost": {
			func(r *rig) { r.faults[0].AckLost(1); r.faults[1].AckLost(1) }, set,
			resilient.Failed, []resilient.Class{resilient.Failed, resilient.Failed}, []string{"unavailable", "ambiguous"},
		},
		"a write that nobody answers in time": {
			func(r *rig) { r.faults[0].Hang(); r.faults[1].Hang() }, set,
			resilient.Failed, []resilient.Class{resilient.Failed, resilient.Failed}, []string{"unavailable", "ambiguous"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			inRig(t, 2, unbreakable, func(r *rig) {
				c.make(r)
				err := c.call(r.ctx, r)
				var e *failover.Error
				require.ErrorAs(t, err, &e)
				require.Equal(t, c.class, e.Class)
				require.ElementsMatch(t, c.matches, matches(err))
				require.NotErrorIs(t, err, secret, "what one member said is in Members")
				var one *resilient.Error
				require.False(t, errors.As(err, &one), "one member's error is not the call's")

				classes := map[string]resilient.Class{}
				for _, m := range e.Members {
					classes[m.Store] = m.Class
				}
				require.Equal(t, map[string]resilient.Class{"mem": c.members[0], "mem-2": c.members[1]}, classes)
				require.Len(t, e.Members, 2)
				if !e.Op.Writes() {
					require.Equal(t, "mem", e.Members[0].Store, "the most wanted first")
				}

				text := err.Error()
				require.NotContains(t, text, "a-key")
				require.NotContains(t, text, "a-value")
				require.NotContains(t, text, "\n")
				require.Contains(t, text, e.Op.String())
				require.Contains(t, text, c.class.String())
				for _, m := range e.Members {
					require.Contains(t, text, m.Store+": "+m.Class.String())
				}
			})
		})
	}
}

func TestAnErrorOfTheCallItselfMatchesWhatIsWrongWithIt(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		long := strings.Repeat("secret", 200)
		for text, c := range map[string]struct {
			key  string
			want error
		}{
			"empty":   {"", resilient.ErrEmptyKey},
			"control": {"secret\x00", resilient.ErrInvalidKey},
			"long":    {long, resilient.ErrKeyTooLarge},
		} {
			_, get := r.kv.GetRaw(r.ctx, c.key)
			_, batch := r.kv.BatchGetRaw(r.ctx, []string{"k", c.key})
			for i, err := range []error{
				get, batch, r.kv.SetRaw(r.ctx, c.key, nil), r.kv.Delete(r.ctx, c.key),
				r.kv.BatchSetRaw(r.ctx, map[string][]byte{"k": nil, c.key: nil}), r.kv.BatchDelete(r.ctx, []string{"k", c.key}),
			} {
				require.ErrorIs(t, err, c.want, "%s, call %d", text, i)
				require.NotErrorIs(t, err, resilient.ErrUnavailable, "%s, call %d", text, i)
				require.NotContains(t, err.Error(), "secret")
				var e *failover.Error
				require.ErrorAs(t, err, &e)
				require.Equal(t, resilient.Invalid, e.Class)
				require.Empty(t, e.Members)
			}
		}
		require.Zero(t, r.faults[0].Calls(), "nothing was sent")
	})
}

func TestAnErrorOfACallerWhoLeftSaysWhatBecameOfTheCall(t *testing.T) {
	inRig(t, 2, unbreakable, func(r *rig) {
		r.faults[0].Hang()
		r.faults[1].Hang()
		ctx, cancel := context.WithTimeout(r.ctx, 100*time.Millisecond)
		defer cancel()
		_, err := r.kv.GetRaw(ctx, "k")
		require.Equal(t, []string{"deadline"}, matches(err), "a read")
		ctx, cancel = context.WithTimeout(r.ctx, 100*time.Millisecond)
		defer cancel()
		err = r.kv.SetRaw(ctx, "k", nil)
		require.ElementsMatch(t, []string{"deadline", "unavailable", "ambiguous"}, matches(err), "a write")
	})
}
