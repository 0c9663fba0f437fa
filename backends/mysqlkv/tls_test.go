package mysqlkv

import (
	"crypto/tls"
	"crypto/x509"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

func TestS14_AServerWithACertificateIsTrustedOrRefused(t *testing.T) {
	server, trusted := servertest.MySQLTLS(t)
	for name, roots := range map[string]*x509.CertPool{"trusting": trusted, "strange": x509.NewCertPool()} {
		require.NoError(t, mysql.RegisterTLSConfig(name, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}))
		defer mysql.DeregisterTLSConfig(name)
	}
	kv, err := Open(servertest.MySQLDSN(server)+"?tls=trusting", Config{RequireTLS: true})
	require.NoError(t, err)
	warm(t, kv)
	// A connection that dies is found before it is used under TLS too.
	server.Kill()
	server.Start()
	require.NoError(t, kv.SetRaw(t.Context(), "key", nil))
	require.NoError(t, kv.Close())

	kv, err = Open(servertest.MySQLDSN(server)+"?tls=strange", Config{RequireTLS: true})
	require.NoError(t, err)
	err = kv.SetRaw(t.Context(), "key", nil)
	require.ErrorIs(t, err, resilient.ErrRefused)
	require.ErrorContains(t, err, "the server's certificate was not accepted")
	var verification *tls.CertificateVerificationError
	require.ErrorAs(t, err, &verification)
	require.NoError(t, kv.Close())

	// Without TLS the server itself refuses.
	kv, err = Open(servertest.MySQLDSN(server), Config{})
	require.NoError(t, err)
	require.ErrorIs(t, kv.Health(t.Context()), resilient.ErrRefused)
	require.NoError(t, kv.Close())
}

func TestAServerWithoutTLSIsRefusedByAStoreThatRequiresIt(t *testing.T) {
	server := servertest.MySQL(t)
	kv, err := Open(servertest.MySQLDSN(server)+"?tls=true", Config{RequireTLS: true})
	require.NoError(t, err)
	err = kv.SetRaw(t.Context(), "key", nil)
	require.ErrorIs(t, err, resilient.ErrRefused)
	require.ErrorIs(t, err, mysql.ErrNoTLS)
	require.NoError(t, kv.Close())
}

func TestAFrozenServerIsLeftUnderTLSToo(t *testing.T) {
	server, trusted := servertest.MySQLTLS(t)
	require.NoError(t, mysql.RegisterTLSConfig("trusting", &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}))
	defer mysql.DeregisterTLSConfig("trusting")
	kv, err := Open(servertest.MySQLDSN(server)+"?tls=trusting", Config{RequireTLS: true})
	require.NoError(t, err)
	warm(t, kv)
	leavesFrozen(t, server, kv)
	require.NoError(t, kv.Close())
}
