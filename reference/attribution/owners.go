package attribution

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"time"

	"gorm.io/gorm"

	"fhirwire/internal/sqldb"
)

//go:embed migrations/sqlite/*.sql migrations/postgres/*.sql
var migrations embed.FS

// Owners notes for which client a Group was made, and until when. A Group that it does not know is one of the payer's own lists.
// It is safe for concurrent use.
type Owners struct {
	db    *sqldb.DB
	clock func() time.Time
}

// NewOwners brings the schema up to date.
func NewOwners(ctx context.Context, db *sqldb.DB, clock func() time.Time) (*Owners, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx, "reference-attribution", files); err != nil {
		return nil, err
	}
	return &Owners{db: db, clock: clock}, nil
}

// Term is for how long and how much of a member's data a matched Group is good for.
type Term struct {
	Patient string
	// From and Until bound the consent; zero is no bound.
	From, Until time.Time
	// Sensitive is whether sensitive data may go out too.
	Sensitive bool
}

// Set notes a Group and what holds for its members. Setting again replaces.
func (o *Owners) Set(ctx context.Context, group, client string, expires time.Time, terms []Term) error {
	err := o.db.Write.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		for _, sql := range []string{"DELETE FROM ref_group_owner WHERE id = ?", "DELETE FROM ref_group_term WHERE id = ?"} {
			if err := tx.Exec(sql, group).Error; err != nil {
				return err
			}
		}
		if err := tx.Exec("INSERT INTO ref_group_owner (id, client, expires) VALUES (?, ?, ?)", group, client, expires.Unix()).Error; err != nil {
			return err
		}
		for _, t := range terms {
			err := tx.Exec("INSERT INTO ref_group_term (id, patient, starts, ends, sensitive) VALUES (?, ?, ?, ?, ?)",
				group, t.Patient, unix(t.From), unix(t.Until), t.Sensitive).Error
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("note owner of Group/%s: %w", group, err)
	}
	return nil
}

func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// Check refuses a Group that was made for another client (404, which hides that it exists: P2P-BLK-36) or that has expired
// (410, PMM-15).
func (o *Owners) Check(ctx context.Context, group, client string) error {
	var rows []struct {
		Client  string
		Expires int64
	}
	if err := o.db.Read.WithContext(ctx).Raw("SELECT client, expires FROM ref_group_owner WHERE id = ?", group).Scan(&rows).Error; err != nil {
		return fmt.Errorf("owner of Group/%s: %w", group, err)
	}
	switch {
	case len(rows) == 0:
		return nil
	case rows[0].Client != client:
		return refuse(http.StatusNotFound, "not-found", "Group/%s is not known.", group)
	case rows[0].Expires <= o.clock().Unix():
		return refuse(http.StatusGone, "not-found", "Group/%s has expired; match again.", group)
	}
	return nil
}

// Hidden lists the Groups that a client does not see: those made for others and those that expired (ATR-45).
func (o *Owners) Hidden(ctx context.Context, client string) ([]string, error) {
	var ids []string
	err := o.db.Read.WithContext(ctx).Raw("SELECT id FROM ref_group_owner WHERE client <> ? OR expires <= ?", client, o.clock().Unix()).Scan(&ids).Error
	if err != nil {
		return nil, fmt.Errorf("owners of Groups: %w", err)
	}
	return ids, nil
}

// Terms are what holds for the members of a matched Group; ok is false for a list of the payer's own.
func (o *Owners) Terms(ctx context.Context, group string) (terms map[string]Term, ok bool, err error) {
	var rows []struct {
		Patient      string
		Starts, Ends int64
		Sensitive    bool
	}
	var known int
	read := o.db.Read.WithContext(ctx)
	if err := read.Raw("SELECT count(*) FROM ref_group_owner WHERE id = ?", group).Scan(&known).Error; err != nil || known == 0 {
		return nil, false, err
	}
	if err := read.Raw("SELECT patient, starts, ends, sensitive FROM ref_group_term WHERE id = ?", group).Scan(&rows).Error; err != nil {
		return nil, false, fmt.Errorf("terms of Group/%s: %w", group, err)
	}
	terms = make(map[string]Term, len(rows))
	for _, r := range rows {
		t := Term{Patient: r.Patient, Sensitive: r.Sensitive}
		if r.Starts != 0 {
			t.From = time.Unix(r.Starts, 0).UTC()
		}
		if r.Ends != 0 {
			t.Until = time.Unix(r.Ends, 0).UTC()
		}
		terms[r.Patient] = t
	}
	return terms, true, nil
}

// Allows reports whether the term covers an instant (P2P-BLK-09).
func (t Term) Allows(at time.Time) bool {
	return !at.Before(t.From) && (t.Until.IsZero() || at.Before(t.Until))
}
