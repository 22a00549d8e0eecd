package main

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/hacluster/hacluster/internal/config"
	"github.com/hacluster/hacluster/internal/discovery"
	"github.com/hacluster/hacluster/internal/web"
	"github.com/hacluster/hacluster/internal/web/statuspage"
)

// openWeb serves what people and monitoring read. The node's vote must not depend on that, so without a listener it goes on.
func (a *agent) openWeb(ctx context.Context, cfg config.Config, log *zap.Logger) {
	a.sources.Driver, a.sources.Raft, a.sources.Hooks = a.driver, a.raft, a.hooks
	if a.keys != nil {
		a.sources.CertificateEnd = func() time.Time { return a.keys.Expiry().NotAfter }
	}
	if cfg.Discovery != nil {
		a.meter = new(discovery.Meter)
		a.sources.Discovery = a.meter
	}
	a.metrics.Read(a.sources)
	if !cfg.HTTP.Listen.IsValid() {
		return
	}
	listener, err := web.Listen(ctx, cfg.HTTP.Listen.String())
	if err != nil {
		log.Error("there will be no metrics and no status over HTTP", zap.Error(err))
		return
	}
	server := web.NewServer(listener, log.Named("http"))
	server.Handle("/metrics", a.metrics.Handler())
	server.Handle("/healthz", web.Check(a.driver.Alive))
	server.Handle("/readyz", web.Check(func(context.Context) error { return a.admin.Status().WhyNotReady() }))
	server.Handle("/status", web.JSON(a.admin.Survey))
	page, err := statuspage.New(a.admin.Survey)
	if err != nil {
		log.Error("there will be no status page", zap.Error(err))
	} else {
		server.Handle("/{$}", page)
		server.Handle("/assets/", page)
	}
	a.web = server
}
