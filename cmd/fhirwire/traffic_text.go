package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// plainText undoes what tools and shells do to a file of JSON: gzip, a byte order mark, UTF-16.
func plainText(in io.Reader) (*bufio.Reader, error) {
	b := bufio.NewReader(in)
	if magic, _ := b.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, err
		}
		b = bufio.NewReader(z)
	}
	b = bufio.NewReaderSize(transform.NewReader(b, unicode.BOMOverride(transform.Nop)), 64<<10)
	start, err := b.Peek(512)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if text := bytes.TrimLeft(start, " \t\r\n"); len(text) < len(start) && len(text) == 0 || len(text) > 0 && text[0] == '{' {
		return b, nil
	}
	if len(start) == 0 {
		return nil, errors.New("the file is empty")
	}
	return nil, fmt.Errorf("it is no JSON object, which HARs and newman's reports are: it begins with %q", start[:min(len(start), 20)])
}
