//go:build !unix

package boltkv

const noFollow = 0
