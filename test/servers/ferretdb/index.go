package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver, of which FerretDB is the other user
)

// indexAll gives every table of every database in dir an index that FerretDB's
// own queries can use. FerretDB 1.24 indexes the expression sjson->"_id" and
// looks for sjson->'$._id', which SQLite takes for another one: each look at one
// document reads all of them, and a batch of many takes the square of its time.
func indexAll(ctx context.Context, dir string) {
	open := map[string]*sql.DB{}
	defer func() {
		for _, db := range open {
			_ = db.Close()
		}
	}()
	done := map[string]bool{}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		files, _ := filepath.Glob(filepath.Join(dir, "*.sqlite"))
		for _, file := range files {
			if open[file] == nil {
				db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(10000)")
				if err != nil {
					fmt.Fprintln(os.Stderr, "ferretdb:", err)
					return
				}
				db.SetMaxOpenConns(1)
				open[file] = db
			}
			// What fails is tried again with the next tick: a table may go
			// away, and the first one is not there from the start.
			_ = indexTables(ctx, open[file], done)
		}
	}
}

func indexTables(ctx context.Context, db *sql.DB, done map[string]bool) error {
	rows, err := db.QueryContext(ctx, "SELECT table_name FROM _ferretdb_collections")
	if err != nil {
		return err
	}
	defer rows.Close()
	var tables []string
	for rows.Next() {
		var table string
		if err := rows.Scan(&table); err != nil {
			return err
		}
		tables = append(tables, table)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	_ = rows.Close() // the one connection is needed
	for _, table := range tables {
		if done[table] {
			continue
		}
		_, err := db.ExecContext(ctx, fmt.Sprintf("CREATE INDEX IF NOT EXISTS %q ON %q (_ferretdb_sjson->'$._id')", table+"_find", table))
		if err != nil {
			return err
		}
		done[table] = true
	}
	return nil
}
