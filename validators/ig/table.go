package ig

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"weak"

	"github.com/klauspost/compress/zstd"
)

// A table is a package packed for embedding:
//
//	magic
//	uvarint length, zstd: the index
//	zstd blocks of definitions, one after the other
//
// The index is text, one record a line with fields parted by tabs: the package, its dependencies, the blocks (compressed and
// plain length), the definitions (the fields of Resource, block, offset, length). Definitions are in blocks of about
// blockSize in the order of the package, so that one is had by unpacking its block only.
const (
	tableMagic = "FWT1"
	blockSize  = 192 << 10
)

// AppendTable packs p. The same package gives the same bytes.
func AppendTable(b []byte, p *Package) ([]byte, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(true))
	if err != nil {
		return nil, err
	}
	defer enc.Close() //nolint:errcheck // it writes nowhere
	var index, defs, blocks bytes.Buffer
	var body, block []byte
	count := 0
	flush := func() {
		if len(block) == 0 {
			return
		}
		packed := enc.EncodeAll(block, nil)
		fmt.Fprintf(&blocks, "block\t%d\t%d\n", len(packed), len(block))
		body = append(body, packed...)
		block = block[:0]
		count++
	}
	for _, r := range p.Resources {
		facts, err := r.Facts()
		if err != nil {
			return nil, fmt.Errorf("package %s: %w", p.ID(), err)
		}
		if len(block) > 0 && len(block)+len(facts) > blockSize {
			flush()
		}
		abstract := ""
		if r.Abstract {
			abstract = "1"
		}
		fields := []string{r.ResourceType, r.File, r.ID, r.URL, r.Version, r.Name, r.Of, r.Base, r.Kind, r.Derivation, abstract}
		for _, f := range fields {
			if strings.ContainsAny(f, "\t\n") {
				return nil, fmt.Errorf("package %s: %s: a name holds a tab or line break", p.ID(), r.File)
			}
		}
		fmt.Fprintf(&defs, "%s\t%d\t%d\t%d\n", strings.Join(fields, "\t"), count, len(block), len(facts))
		block = append(block, facts...)
	}
	flush()
	fmt.Fprintf(&index, "package\t%s\t%s\t%d\n", p.Name, p.Version, len(p.Resources))
	for _, d := range p.Dependencies {
		fmt.Fprintf(&index, "depends\t%s\t%s\n", d.Name, d.Version)
	}
	index.Write(blocks.Bytes())
	index.Write(defs.Bytes())
	packed := enc.EncodeAll(index.Bytes(), nil)
	b = append(b, tableMagic...)
	b = binary.AppendUvarint(b, uint64(len(packed)))
	b = append(b, packed...)
	return append(b, body...), nil
}

// OpenTable reads the index of a table. data is kept and must not change; definitions are unpacked as they are asked for.
func OpenTable(data []byte) (*Package, error) {
	rest, ok := bytes.CutPrefix(data, []byte(tableMagic))
	if !ok {
		return nil, errors.New("package table: this is no table of this build")
	}
	n, w := binary.Uvarint(rest)
	if w <= 0 || n > uint64(len(rest)-w) {
		return nil, errors.New("package table: it is cut off")
	}
	index, err := unpack(rest[w:w+int(n)], 0)
	if err != nil {
		return nil, fmt.Errorf("package table: index: %w", err)
	}
	t := &table{body: rest[w+int(n):]}
	p := new(Package)
	if err := t.read(p, string(index)); err != nil {
		return nil, fmt.Errorf("package table %s: %w", p.ID(), err)
	}
	return p, nil
}

type table struct {
	body   []byte
	blocks []*tableBlock
}

// tableBlock is some definitions packed together. Unpacked it is kept as long as the collector leaves it: what is asked for
// next is mostly in the same block, and a process that has compiled what it needs has no use for it.
type tableBlock struct {
	packed []byte
	size   int

	mu    sync.Mutex
	plain weak.Pointer[[]byte]
}

// cut is a copy of a part of the unpacked block.
func (b *tableBlock) cut(offset, length int) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	plain := b.plain.Value()
	if plain == nil {
		data, err := unpack(b.packed, b.size)
		if err != nil {
			return nil, err
		}
		plain = &data
		b.plain = weak.Make(plain)
	}
	return bytes.Clone((*plain)[offset : offset+length]), nil
}

func unpack(packed []byte, size int) ([]byte, error) {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxPackage))
	if err != nil {
		return nil, err
	}
	defer dec.Close()
	return dec.DecodeAll(packed, make([]byte, 0, size))
}

func (t *table) read(p *Package, index string) error {
	var list []Resource
	offset := 0
	for line := range strings.Lines(index) {
		kind, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		switch kind {
		case "package":
			p.Name, rest, _ = strings.Cut(rest, "\t")
			var count string
			p.Version, count, _ = strings.Cut(rest, "\t")
			n, err := number(count)
			if err != nil {
				return err
			}
			list = make([]Resource, 0, n)
			p.Resources = make([]*Resource, 0, n)
		case "depends":
			name, version, _ := strings.Cut(rest, "\t")
			p.Dependencies = append(p.Dependencies, Dependency{name, version})
		case "block":
			a, b, _ := strings.Cut(rest, "\t")
			packed, err1 := number(a)
			size, err2 := number(b)
			if err := errors.Join(err1, err2); err != nil {
				return err
			}
			if offset+packed > len(t.body) {
				return errors.New("it is cut off")
			}
			t.blocks = append(t.blocks, &tableBlock{packed: t.body[offset : offset+packed], size: size})
			offset += packed
		default:
			if len(list) == cap(list) {
				return errors.New("it holds more definitions than it says")
			}
			list = append(list, Resource{ResourceType: kind})
			r := &list[len(list)-1]
			if err := t.definition(r, rest); err != nil {
				return err
			}
			p.Resources = append(p.Resources, r)
		}
	}
	return nil
}

func (t *table) definition(r *Resource, line string) error {
	var abstract string
	for _, f := range [...]*string{&r.File, &r.ID, &r.URL, &r.Version, &r.Name, &r.Of, &r.Base, &r.Kind, &r.Derivation, &abstract} {
		*f, line, _ = strings.Cut(line, "\t")
	}
	r.Abstract = abstract != ""
	var at [3]int
	for i := range at {
		var f string
		f, line, _ = strings.Cut(line, "\t")
		var err error
		if at[i], err = number(f); err != nil {
			return fmt.Errorf("%s: %w", r.File, err)
		}
	}
	if at[0] >= len(t.blocks) || at[1]+at[2] > t.blocks[at[0]].size {
		return fmt.Errorf("%s: it lies outside the table", r.File)
	}
	r.open = t.opener(t.blocks[at[0]], at[1], at[2])
	return nil
}

func (t *table) opener(b *tableBlock, offset, length int) func() ([]byte, error) {
	return func() ([]byte, error) {
		data, err := b.cut(offset, length)
		if err != nil {
			return nil, fmt.Errorf("package table: %w", err)
		}
		return data, nil
	}
}

func number(s string) (int, error) {
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' || n > 1<<40 {
			return 0, fmt.Errorf("%q is no count", s)
		}
		n = 10*n + int(s[i]-'0')
	}
	if s == "" {
		return 0, errors.New("a count is missing")
	}
	return n, nil
}
