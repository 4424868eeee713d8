package bulk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// Task is asynchronous work whose result is files, beside exports: a match of many members. It may run again after a restart or a
// failure, with the same TaskRun, and has to come to the same result then.
type Task func(ctx context.Context, t TaskRun) error

// TaskRun is what a Task works on.
type TaskRun struct {
	Job, Client string
	// Asker is what the kick-off said about who asks.
	Asker string
	// Body is the request's.
	Body []byte
	// At is the transactionTime.
	At time.Time
	// Write adds a line to the output of a type.
	Write func(typ string, line []byte) error
}

// TaskKickoff asks for a task that Options name.
type TaskKickoff struct {
	Task, URL, Base, Client, Asker string
	Body                           []byte
}

const bodyFile = "request.json"

// KickoffTask accepts a task and returns the job's id. The body is stored before the job is (OPS-01).
func (m *Manager) KickoffTask(ctx context.Context, k TaskKickoff) (string, error) {
	if m.o.Tasks[k.Task] == nil {
		return "", refusef(http.StatusNotFound, "not-supported", "There is no task %q.", k.Task)
	}
	id := m.o.NewID()
	dir := filepath.Join(m.o.Dir, id)
	if err := writeBody(dir, k.Body); err != nil {
		return "", err
	}
	err := m.insert(ctx, id, &order{Task: k.Task, URL: k.URL, Base: k.Base, Client: k.Client, Asker: k.Asker})
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	m.enqueue(id)
	return id, nil
}

func writeBody(dir string, body []byte) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("folder of task: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, bodyFile), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("body of task: %w", err)
	}
	_, err = f.Write(body)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("body of task: %w", err)
	}
	return nil
}

// task runs a job's task as its only unit.
func (r *run) task(ctx context.Context) (files []fileRow, err error) {
	do := r.m.o.Tasks[r.order.Task]
	if do == nil {
		return nil, fmt.Errorf("task %q is not known any more", r.order.Task)
	}
	body, err := os.ReadFile(filepath.Join(r.dir, bodyFile))
	if err != nil {
		return nil, fmt.Errorf("body of task: %w", err)
	}
	var order []string
	writers := map[string]*writer{}
	defer func() {
		for _, w := range writers {
			w.abandon()
		}
	}()
	err = do(ctx, TaskRun{Job: r.job.ID, Client: r.order.Client, Asker: r.order.Asker, Body: body, At: r.until, Write: func(typ string, line []byte) error {
		w := writers[typ]
		if w == nil {
			w = newWriter(r.dir, typ, typ, listOutput, r.m.o.LinesPerFile)
			writers[typ] = w
			order = append(order, typ)
		}
		return w.line(line)
	}})
	if err != nil {
		return nil, err
	}
	for _, typ := range order {
		rows, err := writers[typ].finish()
		if err != nil {
			return nil, err
		}
		files = append(files, rows...)
	}
	return files, nil
}

// Owner is the client that started a job, "" for one that anybody with its URL may ask about (BULK-KO-23). ErrNotFound: unknown.
func (m *Manager) Owner(ctx context.Context, id string) (string, error) {
	row, err := m.job(ctx, id)
	return row.Client, err
}

func encodeOrder(o *order) (string, error) {
	b, err := json.Marshal(o)
	if err != nil {
		return "", fmt.Errorf("export request: %w", err)
	}
	return string(b), nil
}
