package servertest

import (
	"crypto/tls"
	"crypto/x509"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestACertificateIsTrustedByItsPoolOnly(t *testing.T) {
	dir, pool := Certificate(t)
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, CertificateFile), filepath.Join(dir, KeyFile))
	require.NoError(t, err)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.(*tls.Conn).HandshakeContext(t.Context())
			_ = c.Close()
		}
	}()
	handshake := func(roots *x509.CertPool, name string) error {
		c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: roots, ServerName: name})
		if err == nil {
			err = c.Close()
		}
		return err
	}
	require.NoError(t, handshake(pool, "127.0.0.1"))
	require.NoError(t, handshake(pool, "localhost"))
	require.Error(t, handshake(pool, "elsewhere"))
	require.Error(t, handshake(x509.NewCertPool(), "localhost"))
	require.NoError(t, l.Close())
	<-done
}
