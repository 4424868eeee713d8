package resources

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/klauspost/compress/zstd"

	"fhirwire/validators/fhirjson"
)

// compressFrom is the size in bytes from which a body is stored compressed. A body starts with "{", a zstd frame does not.
const compressFrom = 4 << 10

// packer stores bodies small. Both coders are safe for concurrent use.
type packer struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

func newPacker() (packer, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2))
	if err != nil {
		return packer{}, err
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(512<<20))
	return packer{enc, dec}, err
}

func (p packer) pack(body []byte) []byte {
	if len(body) < compressFrom {
		return body
	}
	return p.enc.EncodeAll(body, make([]byte, 0, len(body)/3))
}

func (p packer) unpack(stored []byte) ([]byte, error) {
	if len(stored) == 0 || stored[0] == '{' {
		return stored, nil
	}
	body, err := p.dec.DecodeAll(stored, nil)
	if err != nil {
		return nil, fmt.Errorf("stored body: %w", err)
	}
	return body, nil
}

// InstantFormat is how the store writes meta.lastUpdated: UTC with milliseconds.
const InstantFormat = "2006-01-02T15:04:05.000Z"

// ErrInvalid is wrapped by errors that say a body is not the resource it should be.
var ErrInvalid = errors.New("invalid resource")

// parse reads a body and checks that it is one resource.
func parse(body []byte) (*fhirjson.Document, error) {
	doc := fhirjson.Parse(body)
	if ps := doc.Problems(); len(ps) > 0 {
		at := doc.Position(ps[0].Offset)
		return nil, fmt.Errorf("%w: line %d column %d: %s", ErrInvalid, at.Line, at.Column, ps[0].Text)
	}
	root := doc.Root()
	if root == nil || root.Kind() != fhirjson.Object || root.ResourceType() == "" {
		return nil, fmt.Errorf("%w: a JSON object with a resourceType is wanted", ErrInvalid)
	}
	if m := root.Member("meta"); m != nil && m.Kind() != fhirjson.Object {
		return nil, fmt.Errorf("%w: meta is not an object", ErrInvalid)
	}
	return doc, nil
}

// stamp writes the resource on one line with resourceType, id and meta first and the server's version and time in meta.
// Everything else stays as it was written, in its order.
func stamp(root *fhirjson.Node, id string, version int64, updated time.Time) []byte {
	b := make([]byte, 0, root.End()-root.Offset()+96)
	b = append(b, `{"resourceType":"`...)
	b = append(b, root.ResourceType()...)
	b = append(b, `","id":"`...)
	b = append(b, id...)
	b = append(b, `","meta":{"versionId":"`...)
	b = strconv.AppendInt(b, version, 10)
	b = append(b, `","lastUpdated":"`...)
	b = updated.UTC().AppendFormat(b, InstantFormat)
	b = append(b, '"')
	if meta := root.Member("meta"); meta != nil {
		for m := meta.First(); m != nil; m = m.Next() {
			switch m.Key() {
			case "versionId", "lastUpdated":
			default:
				b = appendMember(b, m)
			}
		}
	}
	b = append(b, '}')
	for m := root.First(); m != nil; m = m.Next() {
		switch m.Key() {
		case "resourceType", "id", "meta":
		default:
			b = appendMember(b, m)
		}
	}
	return append(b, '}')
}

func appendMember(b []byte, m *fhirjson.Node) []byte {
	b = append(b, ',')
	b = strconv.AppendQuote(b, m.Key())
	b = append(b, ':')
	return appendCompact(b, m.Raw())
}

// appendCompact appends JSON without the white space between its tokens.
func appendCompact(b, src []byte) []byte {
	start, quoted := 0, false
	for i := 0; i < len(src); i++ {
		c := src[i]
		if quoted {
			switch c {
			case '\\':
				i++
			case '"':
				quoted = false
			}
			continue
		}
		switch c {
		case '"':
			quoted = true
		case ' ', '\n', '\t', '\r':
			b = append(b, src[start:i]...)
			start = i + 1
		}
	}
	return append(b, src[start:]...)
}

// sameContent reports whether two stored bodies differ in nothing but the server's part of meta.
func sameContent(a, b []byte) bool {
	da, errA := parse(a)
	db, errB := parse(b)
	if errA != nil || errB != nil {
		return false
	}
	zero := time.UnixMilli(0)
	return string(stamp(da.Root(), "x", 0, zero)) == string(stamp(db.Root(), "x", 0, zero))
}
