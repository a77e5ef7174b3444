package main

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
	"strings"
	"time"

	"sigs.k8s.io/kwok/kustomize/metrics/resource"
	"sigs.k8s.io/kwok/kustomize/metrics/usage"
	node "sigs.k8s.io/kwok/kustomize/stage/node/fast"
	heartbeat "sigs.k8s.io/kwok/kustomize/stage/node/heartbeat-with-lease"
	pod "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
)

// kwokStages are KWOK's own: a pod is Running and Ready at once and gone when deleted, a node renews its lease, and
// what a pod uses is what its annotations say (kwok.x-k8s.io/usage-cpu, kwok.x-k8s.io/usage-memory).
var kwokStages = []string{
	node.DefaultNodeInit, heartbeat.DefaultNodeHeartbeatWithLease,
	pod.DefaultPodReady, pod.DefaultPodComplete, pod.DefaultPodDelete,
	usage.DefaultUsageFromAnnotation, resource.DefaultMetricsResource,
}

// writeFiles writes tls.crt, for these addresses, tls.key and kwok.yaml.
func writeFiles(dir string, addresses []string) error {
	certificate, key, err := selfSigned(addresses)
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		"tls.crt":   certificate,
		"tls.key":   key,
		"kwok.yaml": []byte(strings.Join(kwokStages, "\n---\n")),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// selfSigned returns a certificate for these addresses and its key, both as PEM. It is its own authority and serves every
// purpose of a plane that lives for a minute: server, client of the aggregation layer, signer of service account tokens.
func selfSigned(addresses []string) (certificate, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: "control-plane"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:              []string{"localhost"},
	}
	for _, address := range addresses {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(address))
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, nil, err
	}
	encoded, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}),
		pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: encoded}), nil
}
