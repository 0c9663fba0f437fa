package etcdkv

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

// certificate makes one for the loopback interface, signed by itself, and
// returns its files and the pool that trusts it.
func certificate(tb testing.TB) (certFile, keyFile string, trust *x509.CertPool) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(tb, err)
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(tb, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(tb, err)
	dir := tb.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	require.NoError(tb, os.WriteFile(certFile, certPEM, 0o600))
	require.NoError(tb, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
	trust = x509.NewCertPool()
	require.True(tb, trust.AppendCertsFromPEM(certPEM))
	return certFile, keyFile, trust
}

func TestS14_AServerThatCannotBeVerifiedIsToldNothing(t *testing.T) {
	ctx := t.Context()
	certFile, keyFile, trust := certificate(t)
	server := servertest.Etcd(t, "--cert-file", certFile, "--key-file", keyFile)
	for name, c := range map[string]struct {
		tls *tls.Config
		ok  bool
	}{
		"trusted":     {&tls.Config{RootCAs: trust}, true},
		"not trusted": {nil, false},
	} {
		kv, err := Open([]string{"https://" + server.Addr()}, Config{TLS: c.tls, RequireTLS: true})
		require.NoError(t, err)
		err = kv.SetRaw(ctx, "key", []byte("value"))
		if c.ok {
			require.NoError(t, err, name)
			require.NoError(t, kv.Health(ctx), name)
		} else {
			require.ErrorIs(t, err, resilient.ErrRefused, name)
			require.ErrorContains(t, err, "certificate", name)
			require.ErrorIs(t, kv.Health(ctx), resilient.ErrRefused, name)
		}
		require.NoError(t, kv.Close())
	}
	plain := open(t, Config{}, server)
	require.ErrorIs(t, plain.Health(ctx), resilient.ErrRefused)
}
