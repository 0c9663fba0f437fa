package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/holdfastkv/holdfast/resilient"
)

// Files is a store of one's own: a folder with one file for each key. A file is
// called after the hash of its key, because a key may be longer than a name, and
// holds the key, a zero byte and the value. Nothing is synced: what was written
// outlives the process, not a power cut.
type Files struct {
	dir    string
	closed atomic.Bool
}

func (f *Files) GetRaw(ctx context.Context, key string) ([]byte, error) {
	path, err := f.path(ctx, key)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path) //#nosec G304 -- the name is a hash, in the caller's own folder
	if err != nil {
		return nil, f.missing(err)
	}
	value, ok := bytes.CutPrefix(data, []byte(key+"\x00"))
	if !ok {
		return nil, errors.New("files: a damaged file")
	}
	return value, nil
}

// SetRaw writes a new file and renames it: readers see the old or the new one.
func (f *Files) SetRaw(ctx context.Context, key string, value []byte) error {
	path, err := f.path(ctx, key)
	if err != nil {
		return err
	}
	temp := filepath.Join(f.dir, "new-"+rand.Text())
	err = os.WriteFile(temp, slices.Concat([]byte(key), []byte{0}, value), 0o600)
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		_ = os.Remove(temp)
	}
	return err
}

func (f *Files) Delete(ctx context.Context, key string) error {
	path, err := f.path(ctx, key)
	if err != nil {
		return err
	}
	if err = os.Remove(path); errors.Is(f.missing(err), resilient.ErrNotFound) {
		return nil
	}
	return err
}

func (f *Files) List(ctx context.Context, prefix string) ([]string, error) {
	if _, err := f.path(ctx, "any"); err != nil {
		return nil, err
	}
	files, err := os.ReadDir(f.dir)
	keys := []string{}
	for _, file := range files {
		if !strings.HasPrefix(file.Name(), "key-") {
			continue
		}
		data, readErr := os.ReadFile(filepath.Join(f.dir, file.Name()))
		if key, _, ok := strings.Cut(string(data), "\x00"); ok && strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
		if !errors.Is(readErr, fs.ErrNotExist) { // else deleted in the meantime
			err = errors.Join(err, readErr, ctx.Err())
		}
	}
	if err != nil {
		return nil, err
	}
	slices.Sort(keys)
	return keys, nil
}

// Health writes, because nil promises that reads and writes can be served.
func (f *Files) Health(ctx context.Context) error {
	if _, err := f.path(ctx, "any"); err != nil {
		return err
	}
	temp := filepath.Join(f.dir, "health-"+rand.Text())
	return errors.Join(os.WriteFile(temp, nil, 0o600), os.Remove(temp))
}

func (f *Files) Close() error {
	f.closed.Store(true)
	return nil
}

// path returns the file of key, or why the call must have no effect.
func (f *Files) path(ctx context.Context, key string) (string, error) {
	if f.closed.Load() {
		return "", resilient.ErrClosed
	}
	if err := errors.Join(ctx.Err(), resilient.CheckKey(key)); err != nil {
		return "", err
	}
	return filepath.Join(f.dir, fmt.Sprintf("key-%x", sha256.Sum256([]byte(key)))), nil
}

// missing turns "no such file" into a miss, which is an answer, but not if it
// is the folder that is gone: that is an outage.
func (f *Files) missing(err error) error {
	if _, gone := os.Stat(f.dir); gone == nil && errors.Is(err, fs.ErrNotExist) {
		return resilient.ErrNotFound
	}
	return err
}
