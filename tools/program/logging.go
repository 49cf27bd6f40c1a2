package program

import (
	"fmt"
	"io"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Logging are the flags of programs that log.
type Logging struct {
	LogFormat string `help:"How log lines look: ${enum}." enum:"console,json" default:"console" placeholder:"FORMAT"`
	LogLevel  string `help:"What is logged: this level and above, of ${enum}." enum:"debug,info,warn,error" default:"${log_level}" placeholder:"LEVEL"`
}

// Open returns the logger that the flags ask for.
func (l Logging) Open(w io.Writer) (*zap.Logger, error) {
	level, err := zapcore.ParseLevel(l.LogLevel)
	if err != nil {
		return nil, fmt.Errorf("log level: %w", err)
	}
	cfg := zap.NewProductionEncoderConfig()
	cfg.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	cfg.EncodeDuration = zapcore.StringDurationEncoder
	encoder := zapcore.NewJSONEncoder(cfg)
	if l.LogFormat != "json" {
		cfg.EncodeTime = zapcore.TimeEncoderOfLayout("2006-01-02 15:04:05.000")
		cfg.EncodeLevel = zapcore.CapitalLevelEncoder
		cfg.ConsoleSeparator = "  "
		encoder = zapcore.NewConsoleEncoder(cfg)
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(w)), level)), nil
}
