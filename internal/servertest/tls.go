package servertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The files in the folder that Certificate returns.
const (
	CertificateFile = "server.crt"
	KeyFile         = "server.key"
)

// Certificate makes a certificate for 127.0.0.1 and localhost that vouches for
// itself. It returns the folder with CertificateFile and KeyFile, both in PEM
// and readable by this process only, and a pool that trusts it. The folder goes
// with the test.
func Certificate(tb testing.TB) (dir string, pool *x509.CertPool) {
	tb.Helper()
	dir = folder(tb, "")
	cert, err := writeCertificate(dir)
	if err != nil {
		tb.Fatalf("servertest: making a certificate: %v", err)
	}
	pool = x509.NewCertPool()
	pool.AddCert(cert)
	return dir, pool
}

func writeCertificate(dir string) (*x509.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "servertest"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	for name, block := range map[string]*pem.Block{
		CertificateFile: {Type: "CERTIFICATE", Bytes: der},
		KeyFile:         {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			return nil, err
		}
	}
	return x509.ParseCertificate(der)
}
