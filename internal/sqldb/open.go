package sqldb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/glebarez/sqlite"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// Dialect names the SQL a database speaks; it is also the name of the folder that holds its migrations.
type Dialect string

// The dialects that Open knows.
const (
	SQLite   Dialect = "sqlite"
	Postgres Dialect = "postgres"
)

// DB is an open database: one handle for reads and one for writes. On SQLite the write handle has a single connection,
// so writers queue in the process and never meet SQLITE_BUSY; on Postgres both are the same pool.
type DB struct {
	Dialect Dialect
	Read    *gorm.DB
	Write   *gorm.DB
}

// Options tune Open. The zero value works.
type Options struct {
	// MaxReaders bounds concurrent read connections; 0 means 4 on SQLite and 16 on Postgres.
	MaxReaders int
	// Logger receives slow-query and error lines without parameter values; nil discards them.
	Logger *slog.Logger
	// Synchronous is SQLite's synchronous pragma: "normal" (default: a committed batch survives a crash of the process,
	// not of the machine) or "full".
	Synchronous string
}

// SQLiteDSN is the DSN of the SQLite file at path.
func SQLiteDSN(path string) string { return "sqlite://" + path }

// Open opens the database that dsn names and checks that it answers.
func Open(ctx context.Context, dsn string, o Options) (*DB, error) {
	scheme, rest, ok := strings.Cut(dsn, "://")
	if !ok {
		return nil, fmt.Errorf("database DSN %q: want sqlite://FILE or postgres://…", redact(dsn))
	}
	switch scheme {
	case "sqlite":
		return openSQLite(ctx, rest, o)
	case "postgres", "postgresql":
		db, err := openPool(ctx, postgres.Open(dsn), o, cmp.Or(o.MaxReaders, 16))
		if err != nil {
			return nil, fmt.Errorf("database %s: %w", redact(dsn), err)
		}
		return &DB{Dialect: Postgres, Read: db, Write: db}, nil
	default:
		return nil, fmt.Errorf("database DSN: unknown scheme %q, want sqlite or postgres", scheme)
	}
}

func openSQLite(ctx context.Context, path string, o Options) (*DB, error) {
	if o.Synchronous == "" {
		o.Synchronous = "normal"
	}
	// SQLite would let everybody on the machine read the file, and gives the ones beside it the same mode.
	if f, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE, 0o600); err == nil {
		_ = f.Close()
	}
	pragmas := url.Values{"_pragma": {
		"busy_timeout(10000)", "journal_mode(WAL)", "foreign_keys(1)", "temp_store(memory)", "cache_size(-2000)", // 2 MB for each connection; the system caches the file
		"synchronous(" + o.Synchronous + ")",
	}}
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + pragmas.Encode()
	write, err := openPool(ctx, sqlite.Open(dsn+"&_txlock=immediate"), o, 1)
	if err != nil {
		return nil, fmt.Errorf("database %s: %w", path, err)
	}
	read, err := openPool(ctx, sqlite.Open(dsn), o, cmp.Or(o.MaxReaders, 4))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("database %s: %w", path, err), closePool(write))
	}
	return &DB{Dialect: SQLite, Read: read, Write: write}, nil
}

func openPool(ctx context.Context, d gorm.Dialector, o Options, conns int) (*gorm.DB, error) {
	db, err := gorm.Open(d, &gorm.Config{
		Logger:                 logger.Discard, // the caller says why it cannot be opened
		TranslateError:         true,
		SkipDefaultTransaction: true,
		PrepareStmt:            true,
	})
	if err != nil {
		return nil, err
	}
	db.Logger = newLogger(o.Logger)
	sqlDB, err := db.DB()
	if err != nil {
		return nil, err
	}
	sqlDB.SetMaxOpenConns(conns)
	sqlDB.SetMaxIdleConns(conns)
	if err := sqlDB.PingContext(ctx); err != nil {
		return nil, errors.Join(err, sqlDB.Close())
	}
	return db, nil
}

// Close closes both handles.
func (db *DB) Close() error {
	if db.Read == db.Write {
		return closePool(db.Write)
	}
	return errors.Join(closePool(db.Read), closePool(db.Write))
}

func closePool(g *gorm.DB) error {
	sqlDB, err := g.DB()
	if err != nil {
		return err
	}
	return sqlDB.Close()
}

func redact(dsn string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		return "(unparsable DSN)"
	}
	return u.Redacted()
}

func newLogger(l *slog.Logger) logger.Interface {
	if l == nil {
		return logger.Discard
	}
	return patient{logger.NewSlogLogger(l, logger.Config{
		SlowThreshold:             500 * time.Millisecond,
		LogLevel:                  logger.Warn,
		IgnoreRecordNotFoundError: true,
		ParameterizedQueries:      true,
	})}
}

// patient keeps quiet about what nobody has to act on: statements that were called off, and rows that exist already, which the caller
// is told. Of the others it says the beginning, without the values: those are people's data.
type patient struct{ logger.Interface }

// mostSQL is how many bytes of a statement are logged.
const mostSQL = 300

func (p patient) LogMode(l logger.LogLevel) logger.Interface { return patient{p.Interface.LogMode(l)} }

func (p patient) Trace(ctx context.Context, begin time.Time, fc func() (string, int64), err error) {
	if errors.Is(err, context.Canceled) || errors.Is(err, gorm.ErrDuplicatedKey) {
		return
	}
	p.Interface.Trace(ctx, begin, func() (string, int64) {
		sql, rows := fc()
		if len(sql) > mostSQL {
			sql = sql[:mostSQL] + "…"
		}
		return sql, rows
	}, err)
}

// ParamsFilter is what gorm asks the outermost logger for; without it the values would be written into the statement.
func (p patient) ParamsFilter(_ context.Context, sql string, _ ...any) (string, []any) {
	return sql, nil
}
