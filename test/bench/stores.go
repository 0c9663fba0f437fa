package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
	"go.etcd.io/bbolt"

	"github.com/holdfastkv/holdfast/backends/badgerkv"
	"github.com/holdfastkv/holdfast/backends/boltkv"
	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/backends/postgreskv"
	"github.com/holdfastkv/holdfast/backends/rediskv"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

// storeKind is a kind of real store: what its driver does alone, and a store of
// ours in the same database.
type storeKind struct {
	name string
	open func(*bench) (driver getSetter, ours func(namespace string) resilient.KVWithHealth)
}

func storeKinds() []storeKind {
	return []storeKind{{"bolt", openBolt}, {"badger", openBadger}, {"redis", openRedis}, {"postgres", openPostgres}}
}

// realStores measures Get and Set of real stores, and what each way to stay up
// adds while all is well.
func realStores(b *bench) {
	b.text.heading("Get and Set of real stores")
	b.text.write("Values of 100 bytes, one caller, every write on the disk before it is acknowledged, each call with a deadline of",
		fmt.Sprintf("%v. The driver alone does what our store does. The ways to stay up have a second store, in memory; the first one is well.", patience),
		"\"x driver\" is the median of the ratios within each round. What a Set takes is mostly the disk's sync, which varies.")
	rounds, slice := b.rounds, b.slice
	b.rounds, b.slice = pick(b, 15, 1), pick(b, 20*time.Millisecond, time.Millisecond)
	defer func() { b.rounds, b.slice = rounds, slice }()
	b.text.write(fmt.Sprintf("%d rounds of %v for each way.", b.rounds, b.slice))
	header := []string{"store", "way", "Get", "x driver", "Set", "x driver"}
	var rows [][]string
	for _, kind := range storeKinds() {
		names, gets, sets := b.realStore(kind)
		for i, name := range names {
			rows = append(rows, []string{kind.name, name,
				duration(gets[i].median()), ratio(gets[i].over(gets[0]).median()),
				duration(sets[i].median()), ratio(sets[i].over(sets[0]).median())})
		}
	}
	b.text.table(header, rows)
}

// realStore measures the ways to use a kind of store.
func (b *bench) realStore(kind storeKind) (names []string, gets, sets []series) {
	b.tb.Helper()
	driver, open := kind.open(b)
	memory := func() resilient.KVWithHealth {
		kv, err := memkv.New(memkv.Config{})
		b.must(err)
		b.closing(kv.Close)
		return resilient.KeepOpen(kv)
	}
	ways := []struct {
		name string
		kv   getSetter
	}{
		{"driver alone", driver},
		{"our store", open("alone")},
		{"through a `Store`", b.store(open("store"), resilient.Config{})},
		{"through `failover`, journal in memory", b.group(failover.Config{}, open("group"), memory())},
		{"health check before each call", checking{open("checking"), memory()}},
		{"gobreaker, then the second by hand", newTripping(open("gobreaker"), memory())},
		{"failsafe-go: fallback + breaker + timeout", newFailsafes(open("failsafe"), memory())},
	}
	value := make([]byte, 100)
	var get, set []way
	for _, w := range ways {
		kv := patientCaller{w.kv}
		b.must(kv.SetRaw(context.Background(), key, value))
		names = append(names, w.name)
		get = append(get, way{name: kind.name + " " + w.name, call: func(ctx context.Context) error {
			got, err := kv.GetRaw(ctx, key)
			if err == nil && len(got) != len(value) {
				return errors.New("another value than was set")
			}
			return err
		}})
		set = append(set, way{name: kind.name + " " + w.name, call: func(ctx context.Context) error {
			return kv.SetRaw(ctx, key, value)
		}})
	}
	return names, b.turns(1, get...), b.turns(1, set...)
}

// patientCaller gives every call a deadline, as whoever calls a driver does.
type patientCaller struct{ kv getSetter }

func (p patientCaller) GetRaw(ctx context.Context, key string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return p.kv.GetRaw(ctx, key)
}

func (p patientCaller) SetRaw(ctx context.Context, key string, value []byte) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return p.kv.SetRaw(ctx, key, value)
}

// driverOnly is a driver's own Get and Set.
type driverOnly struct {
	get func(ctx context.Context, key string) ([]byte, error)
	set func(ctx context.Context, key string, value []byte) error
}

func (d driverOnly) GetRaw(ctx context.Context, key string) ([]byte, error) { return d.get(ctx, key) }

func (d driverOnly) SetRaw(ctx context.Context, key string, value []byte) error {
	return d.set(ctx, key, value)
}

// kept returns what opens stores of ours that live until the run's end.
func kept[KV resilient.KVWithHealth](b *bench, open func(namespace string) (KV, error)) func(string) resilient.KVWithHealth {
	return func(namespace string) resilient.KVWithHealth {
		b.tb.Helper()
		kv, err := open(namespace)
		b.must(err)
		b.closing(kv.Close)
		return kv
	}
}

func openBolt(b *bench) (getSetter, func(string) resilient.KVWithHealth) {
	b.tb.Helper()
	db, err := bbolt.Open(filepath.Join(b.tb.TempDir(), "bolt.db"), 0o600, nil)
	b.must(err)
	b.closing(db.Close)
	bucket := []byte("driver")
	b.must(db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket(bucket); return err }))
	return driverOnly{
		get: func(_ context.Context, key string) (value []byte, err error) {
			err = db.View(func(tx *bbolt.Tx) error {
				value = append([]byte{}, tx.Bucket(bucket).Get([]byte(key))...)
				return nil
			})
			return value, err
		},
		set: func(_ context.Context, key string, value []byte) error {
			return db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Put([]byte(key), value) })
		},
	}, kept(b, func(namespace string) (*boltkv.KV, error) { return boltkv.New(db, boltkv.Config{Namespace: namespace}) })
}

func openBadger(b *bench) (getSetter, func(string) resilient.KVWithHealth) {
	b.tb.Helper()
	db, err := badger.Open(badger.DefaultOptions(b.tb.TempDir()).WithSyncWrites(true).WithLogger(nil))
	b.must(err)
	b.closing(db.Close)
	return driverOnly{
			get: func(_ context.Context, key string) (value []byte, err error) {
				err = db.View(func(txn *badger.Txn) error {
					item, err := txn.Get([]byte(key))
					if err != nil {
						return err
					}
					value, err = item.ValueCopy(nil)
					return err
				})
				return value, err
			},
			set: func(_ context.Context, key string, value []byte) error {
				return db.Update(func(txn *badger.Txn) error { return txn.Set([]byte(key), value) })
			},
		}, kept(b, func(namespace string) (*badgerkv.KV, error) {
			return badgerkv.New(db, badgerkv.Config{Namespace: namespace})
		})
}

func openRedis(b *bench) (getSetter, func(string) resilient.KVWithHealth) {
	b.tb.Helper()
	server := servertest.Redis(b.tb)
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), MaxRetries: -1, ContextTimeoutEnabled: true})
	b.closing(client.Close)
	return driverOnly{
			get: func(ctx context.Context, key string) ([]byte, error) { return client.Get(ctx, "driver:"+key).Bytes() },
			set: func(ctx context.Context, key string, value []byte) error {
				return client.Set(ctx, "driver:"+key, value, 0).Err()
			},
		}, kept(b, func(namespace string) (*rediskv.KV, error) {
			return rediskv.Open("redis://"+server.Addr(), rediskv.Config{Namespace: namespace})
		})
}

func openPostgres(b *bench) (getSetter, func(string) resilient.KVWithHealth) {
	b.tb.Helper()
	url := servertest.PostgresURL(servertest.Postgres(b.tb))
	pool, err := pgxpool.New(context.Background(), url)
	b.must(err)
	b.tb.Cleanup(pool.Close)
	_, err = pool.Exec(context.Background(), `CREATE TABLE driver (key bytea PRIMARY KEY, value bytea NOT NULL)`)
	b.must(err)
	return driverOnly{
			get: func(ctx context.Context, key string) (value []byte, err error) {
				err = pool.QueryRow(ctx, `SELECT value FROM driver WHERE key = $1::bytea`, []byte(key)).Scan(&value)
				return value, err
			},
			set: func(ctx context.Context, key string, value []byte) error {
				_, err := pool.Exec(ctx, `INSERT INTO driver (key, value) VALUES ($1::bytea, $2::bytea)
					ON CONFLICT (key) DO UPDATE SET value = excluded.value`, []byte(key), value)
				return err
			},
		}, kept(b, func(namespace string) (*postgreskv.KV, error) {
			return postgreskv.Open(url, postgreskv.Config{Namespace: namespace, PoolSize: 2})
		})
}
