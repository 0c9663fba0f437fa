//go:build !linux

package servertest

import (
	"errors"
	"syscall"
)

const supported = false

var errUnsupported = errors.New("servers are started on Linux only")

func attributes(string) (*syscall.SysProcAttr, error) { return nil, errUnsupported }

func credentials(string) (*syscall.SysProcAttr, error) { return nil, errUnsupported }

func stands(int) bool { return true }

func signal(int, syscall.Signal) map[int]bool { return nil }

func gone(map[int]bool) bool { return true }

func giveTo(string, string) error { return errUnsupported }

func memoryFolder() string { return "" }
