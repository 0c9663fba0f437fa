// Command holdfast-journal looks into the journal of a failover group, while
// no process has it open:
//
//	holdfast-journal list [-keys] FILE      what is owed to whom, since when
//	holdfast-journal verify FILE            is all there that was written
//	holdfast-journal discard -member NAME FILE
//
// It never shows a value, and keys with -keys only. discard gives up what a
// member is owed that has left the group for good. The exit code is 1 if
// something is wrong, 2 if the command line is.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/holdfastkv/holdfast/failover/boltjournal"
)

const usage = `usage:
  holdfast-journal list [-keys] FILE
  holdfast-journal verify FILE
  holdfast-journal discard -member NAME FILE
`

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

var errUsage = errors.New("usage")

func run(args []string, stdout, stderr io.Writer) int {
	err := command(args, stdout)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUsage):
		_, _ = io.WriteString(stderr, usage)
		return 2
	}
	_, _ = fmt.Fprintln(stderr, "holdfast-journal:", err)
	return 1
}

func command(args []string, out io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	var (
		keys   bool
		member string
	)
	switch args[0] {
	case "list":
		flags.BoolVar(&keys, "keys", false, "")
	case "discard":
		flags.StringVar(&member, "member", "", "")
	case "verify":
	default:
		return errUsage
	}
	if flags.Parse(args[1:]) != nil || flags.NArg() != 1 || args[0] == "discard" && member == "" {
		return errUsage
	}
	path := flags.Arg(0)
	if args[0] == "discard" {
		return discard(out, path, member)
	}
	r, err := boltjournal.Inspect(path, boltjournal.Config{})
	if err != nil {
		return err
	}
	if args[0] == "verify" {
		_, err = fmt.Fprintf(out, "%s is good: keys %d, notes %d\n", path, r.Keys, len(r.Notes))
		return err
	}
	return list(out, r, keys)
}

func discard(out io.Writer, path, member string) error {
	lost, err := boltjournal.Discard(path, member, boltjournal.Config{})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "gave up %d writes owed to %s\n", lost, member)
	return err
}

func list(out io.Writer, r boltjournal.Report, keys bool) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	closed := "cleanly"
	if !r.Clean {
		closed = "not cleanly"
	}
	line := func(columns ...any) {
		_, _ = fmt.Fprintln(w, strings.TrimSuffix(fmt.Sprintf(strings.Repeat("%v\t", len(columns)), columns...), "\t"))
	}
	line("closed", closed)
	line("keys", r.Keys)
	line("bytes", r.Bytes)
	line("intents", r.Intents)
	if !r.Oldest.IsZero() {
		line("oldest", stamp(r.Oldest))
	}
	for _, o := range r.Owing {
		line("member "+o.Member, fmt.Sprintf("%d writes, %d removals", o.Writes, o.Removals))
	}
	for _, name := range r.Notes {
		line("note", fmt.Sprintf("%q", name))
	}
	if keys {
		line()
		line("SINCE", "KIND", "BYTES", "OWED TO", "REMOVE AT", "KEY")
		for _, e := range r.Records {
			line(stamp(e.Since), kind(e), e.Size, members(e.Owed), members(e.Remove), fmt.Sprintf("%q", e.Key))
		}
	}
	return w.Flush()
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func kind(e boltjournal.Entry) string {
	kind := "set"
	switch {
	case e.Delete:
		kind = "delete"
	case len(e.Owed) == 0:
		kind = "removal"
	}
	if e.Intent {
		kind += " (intent)"
	}
	return kind
}

func members(names []string) string {
	if len(names) == 0 {
		return "-"
	}
	return strings.Join(names, ",")
}
