package main

import (
	"errors"

	"go.uber.org/zap"

	"github.com/hacluster/hacluster/internal/adminapi"
	"github.com/hacluster/hacluster/internal/config"
	"github.com/hacluster/hacluster/internal/keyring"
)

// openKeyring reads the certificates, or returns nil if the nodes talk over plain TCP. load reads the configuration file again, in which
// certificates are revoked.
func openKeyring(cfg config.Config, load func() (config.Config, error), log *zap.Logger) (*keyring.Keyring, error) {
	if cfg.TLS == nil {
		return nil, nil
	}
	return keyring.Open(keyring.Config{
		Cluster: cfg.Cluster.Name, Node: cfg.Node, CA: cfg.TLS.CA, Cert: cfg.TLS.Cert, Key: cfg.TLS.Key,
		Logger: log.Named("tls"),
		Revoked: func() ([]string, error) {
			now, err := load()
			switch {
			case err != nil:
				return nil, err
			case now.TLS == nil:
				return nil, errors.New("the configuration file has no tls any more: restart the agent to change that")
			}
			return now.TLS.Revoked, nil
		},
	})
}

// certificateOf is what the admin socket tells of the keyring.
func certificateOf(keys *keyring.Keyring) func() adminapi.Certificate {
	return func() adminapi.Certificate {
		e := keys.Expiry()
		return adminapi.Certificate{Name: e.Certificate, NotAfter: e.NotAfter}
	}
}
