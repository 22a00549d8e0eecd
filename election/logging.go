package election

import (
	"fmt"
	"io"
	stdlog "log"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Keys of log fields.
const (
	keyTerm     = "term"
	keyLeader   = "leader"
	keyPeer     = "peer"
	keyServerID = "server_id"
	keyDataDir  = "data_dir"
)

// raftLogger makes Raft, which logs through hclog, write to a zap logger. Raft repeats itself for as long as a peer is down
// (each heartbeat, each append), so each message passes five times in ten seconds and then every hundredth time.
func raftLogger(log *zap.Logger) hclog.Logger {
	sampled := log.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(core, 10*time.Second, 5, 100)
	}))
	logger := hclog.NewInterceptLogger(&hclog.LoggerOptions{Output: io.Discard, Level: hclog.Off})
	logger.RegisterSink(zapSink{sampled.Named("raft")})
	return logger
}

type zapSink struct {
	log *zap.Logger
}

// Accept implements hclog.SinkAdapter.
func (s zapSink) Accept(_ string, level hclog.Level, msg string, args ...any) {
	entry := s.log.Check(zapLevel(level), msg)
	if entry == nil {
		return
	}
	fields := make([]zap.Field, 0, len(args)/2)
	for i := 0; i+1 < len(args); i += 2 {
		fields = append(fields, field(fmt.Sprint(args[i]), args[i+1]))
	}
	entry.Write(fields...)
}

func field(key string, value any) zap.Field {
	switch v := value.(type) {
	case hclog.Format:
		return zap.String(key, fmt.Sprintf(v[0].(string), v[1:]...))
	case fmt.Stringer:
		return zap.Stringer(key, v)
	default:
		return zap.Any(key, v)
	}
}

// zapLevel lowers Raft's errors to warnings: what they tell of is a peer that is away or a vote that was lost. What this node
// cannot survive ends Run instead.
func zapLevel(level hclog.Level) zapcore.Level {
	switch level {
	case hclog.Error, hclog.Warn:
		return zapcore.WarnLevel
	case hclog.Info:
		return zapcore.InfoLevel
	default:
		return zapcore.DebugLevel
	}
}

// stdLogger is for net/http, whose complaints are about single connections.
func stdLogger(log *zap.Logger) *stdlog.Logger {
	logger, err := zap.NewStdLogAt(log.Named("rpc"), zap.DebugLevel)
	if err != nil {
		// Only an invalid level can fail.
		panic("make a standard logger: " + err.Error())
	}
	return logger
}
