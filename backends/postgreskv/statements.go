package postgreskv

import "strings"

// statements are what the store sends, with the table's name in place. The
// casts make a table whose keys are of another type an error, instead of a store
// that folds or reorders them.
type statements struct {
	create                    string
	get, set, del             string
	listTo, listAll           string
	getMany, setMany, delMany string
	probe, canary             string
}

func newStatements(table string) statements {
	in := func(sql string) string { return strings.ReplaceAll(sql, "TABLE_NAME", table) }
	const upsert = ` ON CONFLICT (key) DO UPDATE SET value = excluded.value`
	return statements{
		create: in(`CREATE TABLE IF NOT EXISTS TABLE_NAME (key bytea PRIMARY KEY, value bytea NOT NULL)`),
		get:    in(`SELECT value FROM TABLE_NAME WHERE key = $1::bytea`),
		set:    in(`INSERT INTO TABLE_NAME (key, value) VALUES ($1::bytea, $2::bytea)` + upsert),
		del:    in(`DELETE FROM TABLE_NAME WHERE key = $1::bytea`),

		listTo:  in(`SELECT key FROM TABLE_NAME WHERE key >= $1::bytea AND key < $3::bytea ORDER BY key LIMIT $2::int`),
		listAll: in(`SELECT key FROM TABLE_NAME WHERE key >= $1::bytea ORDER BY key LIMIT $2::int`),

		getMany: in(`SELECT key, value FROM TABLE_NAME WHERE key = ANY ($1::bytea[])`),
		// The keys come sorted, and rows are inserted in the order they come.
		setMany: in(`INSERT INTO TABLE_NAME (key, value) SELECT k, v FROM unnest($1::bytea[], $2::bytea[]) AS entry (k, v)` + upsert),
		// A DELETE alone locks rows in the order it meets them; two that overlap, or
		// one and a batch that sets, would deadlock.
		delMany: in(`WITH locked AS (SELECT key FROM TABLE_NAME WHERE key = ANY ($1::bytea[]) ORDER BY key FOR UPDATE)
			DELETE FROM TABLE_NAME AS doomed USING locked WHERE doomed.key = locked.key`),

		// Changes nothing, but is checked as what it would do: the table must be
		// there, the server take writes, the user have all four rights, and no lock
		// keep writers out, and both columns be bytea. It reads one page of the index.
		probe: in(`WITH deleted AS (DELETE FROM TABLE_NAME WHERE false),
			written AS (INSERT INTO TABLE_NAME (key, value) SELECT key, value FROM TABLE_NAME WHERE false` + upsert + `)
			SELECT EXISTS (SELECT FROM TABLE_NAME WHERE key = $1::bytea AND value = ''::bytea)`),
		canary: in(`WITH deleted AS (DELETE FROM TABLE_NAME WHERE false),
			written AS (INSERT INTO TABLE_NAME (key, value) VALUES ($1::bytea, $2::bytea)` + upsert + `)
			SELECT EXISTS (SELECT FROM TABLE_NAME WHERE key = $1::bytea AND value = ''::bytea)`),
	}
}
