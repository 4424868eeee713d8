package smartauth

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"gorm.io/gorm"

	"fhirwire/internal/sqldb"
)

//go:embed migrations/sqlite/*.sql migrations/postgres/*.sql
var migrations embed.FS

// store keeps registrations, tokens, used assertion ids and matches. Times are Unix seconds.
type store struct{ db *sqldb.DB }

// Client is a registered client.
type Client struct {
	ID      string
	Created time.Time
	Metadata
	// Certificate is the SHA-256 (base64url) of the certificate that the client registered with, "" without mutual TLS.
	Certificate string
	// Entry and Organization are what Options.Identify said of that certificate (P2P-TLS-21).
	Entry        string
	Organization string

	secret string // hash
	anchor string // what makes a second registration the same client, "" for nothing
}

type clientRow struct {
	ID, Metadata, Secret, Certificate, Entry, Organization, Anchor string
	Created                                                        int64
}

type tokenRow struct {
	Hash, Client, Scope, Patient, Certificate, Audience string
	Issued, Expires                                     int64
	Revoked                                             int
}

type memberRow struct {
	Client, Patient, Identifier string
	Matched, Starts, Ends       int64
	Sensitive, Withdrawn        int
}

// digest is how secrets are stored. They are random and long, so a plain hash is enough.
func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (s *store) client(ctx context.Context, column, value string) (*Client, error) {
	var rows []clientRow
	if err := s.db.Read.WithContext(ctx).Raw("SELECT * FROM oauth_client WHERE "+column+" = ?", value).Scan(&rows).Error; err != nil {
		return nil, fmt.Errorf("read client: %w", err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	r := rows[0]
	c := &Client{
		ID: r.ID, Created: time.Unix(r.Created, 0).UTC(), Certificate: r.Certificate, Entry: r.Entry, Organization: r.Organization,
		secret: r.Secret, anchor: r.Anchor,
	}
	if err := json.Unmarshal([]byte(r.Metadata), &c.Metadata); err != nil {
		return nil, fmt.Errorf("client %s: stored metadata: %w", r.ID, err)
	}
	return c, nil
}

// putClient stores a client, or lays its metadata over those of the client with the same anchor, whose id and time it then takes.
// The tokens of a client that registers again are revoked: they may rest on scopes and keys that are no more.
func (s *store) putClient(ctx context.Context, c *Client) error {
	raw, err := json.Marshal(c.Metadata)
	if err != nil {
		return fmt.Errorf("store client: %w", err)
	}
	err = s.db.Write.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		var old []clientRow
		if c.anchor != "" {
			if err := tx.Raw("SELECT * FROM oauth_client WHERE anchor = ?", c.anchor).Scan(&old).Error; err != nil {
				return err
			}
		}
		if len(old) == 0 {
			return tx.Exec(`INSERT INTO oauth_client (id, created, metadata, secret, certificate, entry, organization, anchor)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, c.ID, c.Created.Unix(), string(raw), c.secret, c.Certificate, c.Entry, c.Organization, c.anchor).Error
		}
		c.ID, c.Created = old[0].ID, time.Unix(old[0].Created, 0).UTC()
		if err := tx.Exec("UPDATE oauth_client SET metadata = ?, secret = ?, certificate = ?, entry = ?, organization = ? WHERE id = ?",
			string(raw), c.secret, c.Certificate, c.Entry, c.Organization, c.ID).Error; err != nil {
			return err
		}
		return tx.Exec("UPDATE oauth_token SET revoked = 1 WHERE client = ?", c.ID).Error
	})
	if err != nil {
		return fmt.Errorf("store client: %w", err)
	}
	return nil
}

// useJTI notes an assertion id and reports whether it is new for this client (AUTH-09).
func (s *store) useJTI(ctx context.Context, client, jti string, expires int64) (bool, error) {
	res := s.db.Write.WithContext(ctx).Exec("INSERT INTO oauth_jti (client, hash, expires) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", client, digest(jti), expires)
	if res.Error != nil {
		return false, fmt.Errorf("note assertion: %w", res.Error)
	}
	return res.RowsAffected == 1, nil
}

func (s *store) putToken(ctx context.Context, t tokenRow) error {
	err := s.db.Write.WithContext(ctx).Exec(`INSERT INTO oauth_token (hash, client, scope, patient, certificate, audience, issued, expires, revoked)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)`, t.Hash, t.Client, t.Scope, t.Patient, t.Certificate, t.Audience, t.Issued, t.Expires).Error
	if err != nil {
		return fmt.Errorf("store token: %w", err)
	}
	return nil
}

func (s *store) token(ctx context.Context, hash string) (*tokenRow, error) {
	var rows []tokenRow
	if err := s.db.Read.WithContext(ctx).Raw("SELECT * FROM oauth_token WHERE hash = ?", hash).Scan(&rows).Error; err != nil {
		return nil, fmt.Errorf("read token: %w", err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	return &rows[0], nil
}

func (s *store) revoke(ctx context.Context, column, value string) error {
	if err := s.db.Write.WithContext(ctx).Exec("UPDATE oauth_token SET revoked = 1 WHERE "+column+" = ?", value).Error; err != nil {
		return fmt.Errorf("revoke tokens: %w", err)
	}
	return nil
}

// purge forgets assertion ids that have expired, and tokens that expired before keep.
func (s *store) purge(ctx context.Context, now, keep int64) error {
	w := s.db.Write.WithContext(ctx)
	if err := w.Exec("DELETE FROM oauth_jti WHERE expires < ?", now).Error; err != nil {
		return fmt.Errorf("forget assertions: %w", err)
	}
	if err := w.Exec("DELETE FROM oauth_token WHERE expires < ?", keep).Error; err != nil {
		return fmt.Errorf("forget tokens: %w", err)
	}
	return nil
}

func (s *store) putMember(ctx context.Context, m memberRow) error {
	err := s.db.Write.WithContext(ctx).Exec(`INSERT INTO oauth_member (client, patient, identifier, matched, starts, ends, sensitive, withdrawn)
		VALUES (?, ?, ?, ?, ?, ?, ?, 0)
		ON CONFLICT (client, patient) DO UPDATE SET identifier = excluded.identifier, matched = excluded.matched, starts = excluded.starts,
		ends = excluded.ends, sensitive = excluded.sensitive, withdrawn = 0`,
		m.Client, m.Patient, m.Identifier, m.Matched, m.Starts, m.Ends, m.Sensitive).Error
	if err != nil {
		return fmt.Errorf("store match: %w", err)
	}
	return nil
}

// member finds a match by Patient id or by the member identifier's value.
func (s *store) member(ctx context.Context, client, who string) (*memberRow, error) {
	var rows []memberRow
	err := s.db.Read.WithContext(ctx).Raw("SELECT * FROM oauth_member WHERE client = ? AND (patient = ? OR identifier = ?) ORDER BY matched DESC", client, who, who).Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("read match: %w", err)
	}
	for _, r := range rows {
		if r.Patient == who { // an id wins over an identifier that happens to read the same
			return &r, nil
		}
	}
	if len(rows) != 1 {
		return nil, nil
	}
	return &rows[0], nil
}

// withdraw ends a consent, for one client or, with client "", for all, and the tokens that rest on it.
func (s *store) withdraw(ctx context.Context, client, patient string) error {
	err := s.db.Write.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := tx.Exec("UPDATE oauth_member SET withdrawn = 1 WHERE patient = ? AND (client = ? OR ? = '')", patient, client, client).Error; err != nil {
			return err
		}
		return tx.Exec("UPDATE oauth_token SET revoked = 1 WHERE patient = ? AND (client = ? OR ? = '')", patient, client, client).Error
	})
	if err != nil {
		return fmt.Errorf("withdraw consent: %w", err)
	}
	return nil
}

func (s *store) deleteClient(ctx context.Context, id string) error {
	err := s.db.Write.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := tx.Exec("DELETE FROM oauth_token WHERE client = ?", id).Error; err != nil {
			return err
		}
		if err := tx.Exec("DELETE FROM oauth_member WHERE client = ?", id).Error; err != nil {
			return err
		}
		return tx.Exec("DELETE FROM oauth_client WHERE id = ?", id).Error
	})
	if err != nil {
		return fmt.Errorf("delete client: %w", err)
	}
	return nil
}
