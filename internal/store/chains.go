package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"gorm.io/gorm/clause"

	"fhirwire/proxy"
)

// chainRow is a certificate chain under the digest of its description. The same few chains stand behind all exchanges of a channel,
// and would be most of what is stored of one.
type chainRow struct {
	Digest string `gorm:"primaryKey"`
	Chain  []byte // JSON
}

func (chainRow) TableName() string { return "chains" }

// leg is a proxy.Leg as stored: chains by digest. Its TLS stands in place of the word's own, which is nil.
type leg struct {
	proxy.Leg
	TLS *handshake `json:"tls,omitempty"`
}

// handshake is a proxy.TLS whose own chains are left empty.
type handshake struct {
	proxy.TLS
	ServerChain string `json:"serverChain,omitempty"`
	ClientChain string `json:"clientChain,omitempty"`
}

// maxChains bounds the digests and chains held in memory.
const maxChains = 512

// legOf gives l as stored and adds its chains to rows.
func legOf(l *proxy.Leg, rows map[string][]byte) (*leg, error) {
	if l == nil {
		return nil, nil //nolint:nilnil // no leg is no error
	}
	out := &leg{Leg: *l}
	out.Leg.TLS = nil
	if l.TLS == nil {
		return out, nil
	}
	out.TLS = &handshake{TLS: *l.TLS}
	for _, c := range []struct {
		chain *[]proxy.Certificate
		to    *string
	}{{&out.TLS.Server, &out.TLS.ServerChain}, {&out.TLS.Client, &out.TLS.ClientChain}} {
		if len(*c.chain) == 0 {
			continue
		}
		text, err := json.Marshal(*c.chain)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(text)
		*c.to, *c.chain = hex.EncodeToString(sum[:]), nil
		rows[*c.to] = text
	}
	return out, nil
}

// digests adds those of the chains that l needs to want.
func (l *leg) digests(want map[string]bool) {
	if l == nil || l.TLS == nil {
		return
	}
	for _, d := range []string{l.TLS.ServerChain, l.TLS.ClientChain} {
		if d != "" {
			want[d] = true
		}
	}
}

// word is the leg with its chains.
func (l *leg) word(chains map[string][]proxy.Certificate) *proxy.Leg {
	if l == nil {
		return nil
	}
	out := l.Leg
	if l.TLS != nil {
		t := l.TLS.TLS
		if d := l.TLS.ServerChain; d != "" {
			t.Server = chains[d]
		}
		if d := l.TLS.ClientChain; d != "" {
			t.Client = chains[d]
		}
		out.TLS = &t
	}
	return &out
}

var chainConflict = clause.OnConflict{Columns: []clause.Column{{Name: "digest"}}, DoNothing: true}

// newChains are the rows that are not known to be stored.
func (s *Store) newChains(all map[string][]byte) []chainRow {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []chainRow
	for digest, text := range all {
		if !s.storedChains[digest] {
			out = append(out, chainRow{digest, text})
		}
	}
	return out
}

// chainsStored notes rows that were committed.
func (s *Store) chainsStored(rows []chainRow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.storedChains) > maxChains {
		clear(s.storedChains)
	}
	for _, r := range rows {
		s.storedChains[r.Digest] = true
	}
}

// chains reads chains by digest. The certificates are shared: callers do not change them.
func (s *Store) chains(ctx context.Context, want map[string]bool) (map[string][]proxy.Certificate, error) {
	if len(want) == 0 {
		return nil, nil //nolint:nilnil // nothing was asked for
	}
	out := make(map[string][]proxy.Certificate, len(want))
	var absent []string
	s.mu.Lock()
	for d := range want {
		if c, ok := s.readChains[d]; ok {
			out[d] = c
		} else {
			absent = append(absent, d)
		}
	}
	s.mu.Unlock()
	if len(absent) == 0 {
		return out, nil
	}
	var rows []chainRow
	if err := s.read(ctx).Where("digest IN ?", absent).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("certificate chains: %w", err)
	}
	for _, r := range rows {
		var c []proxy.Certificate
		if err := json.Unmarshal(r.Chain, &c); err != nil {
			return nil, fmt.Errorf("certificate chain %s: %w", r.Digest, err)
		}
		out[r.Digest] = c
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.readChains) > maxChains {
		clear(s.readChains)
	}
	for _, r := range rows {
		s.readChains[r.Digest] = out[r.Digest]
	}
	return out, nil
}
