package bulk

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// maxFileBytes cuts a file whatever its lines.
const maxFileBytes = 128 << 20

// writer writes NDJSON files of one type: "Patient-1.ndjson", "Patient-2.ndjson" … A file gets its name when it is whole, and
// one without lines is not made.
type writer struct {
	dir, stem, typ, list string
	max                  int64
	files                []fileRow
	cur                  fileRow
	f                    *os.File
	buf                  *bufio.Writer
}

func newWriter(dir, stem, typ, list string, lines int) *writer {
	return &writer{dir: dir, stem: stem, typ: typ, list: list, max: int64(lines)}
}

func (w *writer) line(body []byte) error {
	if w.f != nil && (w.cur.Lines >= w.max || w.cur.Bytes+int64(len(body)) > maxFileBytes) {
		if err := w.close(); err != nil {
			return err
		}
	}
	if w.f == nil {
		w.cur = fileRow{Name: fmt.Sprintf("%s-%d.ndjson", w.stem, len(w.files)+1), List: w.list, Type: w.typ}
		f, err := os.Create(filepath.Join(w.dir, w.cur.Name+".part"))
		if err != nil {
			return fmt.Errorf("export file: %w", err)
		}
		w.f = f
		if w.buf == nil {
			w.buf = bufio.NewWriterSize(f, 256<<10)
		} else {
			w.buf.Reset(f)
		}
	}
	w.cur.Lines++
	w.cur.Bytes += int64(len(body)) + 1
	_, err := w.buf.Write(body)
	if err == nil {
		err = w.buf.WriteByte('\n')
	}
	if err != nil {
		return fmt.Errorf("export file: %w", err)
	}
	return nil
}

func (w *writer) close() error {
	err := errors.Join(w.buf.Flush(), w.f.Close())
	w.f = nil
	path := filepath.Join(w.dir, w.cur.Name)
	if err == nil {
		err = os.Rename(path+".part", path)
	}
	if err != nil {
		return fmt.Errorf("export file: %w", err)
	}
	w.files = append(w.files, w.cur)
	return nil
}

func (w *writer) finish() ([]fileRow, error) {
	if w.f != nil {
		if err := w.close(); err != nil {
			return nil, err
		}
	}
	return w.files, nil
}

// abandon drops an unfinished file; after finish it does nothing.
func (w *writer) abandon() {
	if w.f != nil {
		_ = w.f.Close()           // the error that led here is reported
		_ = os.Remove(w.f.Name()) // as above; a rest is overwritten by the next attempt
		w.f = nil
	}
}

// eachWritten gives each line of the output files that are checkpointed.
func (r *run) eachWritten(ctx context.Context, do func(line []byte)) error {
	var files []fileRow
	err := r.m.db.Read.WithContext(ctx).Raw("SELECT * FROM ref_export_file WHERE job = ? AND list = ? ORDER BY unit, name", r.job.ID, listOutput).Scan(&files).Error
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := eachLine(filepath.Join(r.dir, f.Name), do); err != nil {
			return err
		}
	}
	return nil
}

func eachLine(path string, do func(line []byte)) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("export file: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	rd := bufio.NewReaderSize(f, 256<<10)
	var long []byte
	for {
		line, err := rd.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			long = append(long, line...)
			continue
		}
		if len(long) > 0 {
			line = append(long, line...)
			long = long[:0]
		}
		if len(line) > 0 {
			do(line)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("export file: %w", err)
		}
	}
}
