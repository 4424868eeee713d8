package planfiles

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"fhirwire/proxy"
	"fhirwire/testplans"
)

// keep stores the files' texts that are in use, each once.
func (f *Files) keep(ctx context.Context, now Set) {
	if f.opt.Keep == "" {
		return
	}
	for _, file := range now.Files {
		if err := f.keepText(file, now.texts[file.Plan]); err != nil {
			f.opt.Logger.ErrorContext(ctx, "the text of a plan was not kept", "plan", file.Plan, "file", file.File, "error", err)
		}
	}
}

func (f *Files) keepText(file testplans.PlanFile, src []byte) error {
	name, err := f.keptAt(file.Plan, file.Digest)
	if err != nil {
		return err
	}
	if _, err := os.Stat(name); err == nil {
		return nil
	}
	if err := os.MkdirAll(f.opt.Keep, 0o700); err != nil {
		return err
	}
	part := name + ".part"
	if err := os.WriteFile(part, src, 0o600); err != nil {
		return err
	}
	return os.Rename(part, name)
}

var (
	idForm     = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,200}$`)
	digestForm = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// keptAt is where a text is kept. An id or a digest that is none is proxy.ErrNotFound: both may come from a URL.
func (f *Files) keptAt(plan, digest string) (string, error) {
	if !idForm.MatchString(plan) || !digestForm.MatchString(digest) {
		return "", fmt.Errorf("plan %q with the digest %q: %w", plan, digest, proxy.ErrNotFound)
	}
	return filepath.Join(f.opt.Keep, plan+"@"+digest+".yaml"), nil
}

// Text is the text of a plan: of the one in use, or with a digest of the one that was when that judged. The error wraps proxy.ErrNotFound
// when there is none.
func (f *Files) Text(plan, digest string) ([]byte, error) {
	now := f.Now()
	none := fmt.Errorf("text of plan %q: %w", plan, proxy.ErrNotFound)
	for i := range now.Plans {
		if p := &now.Plans[i]; p.ID == plan && (digest == "" || p.Digest == digest) {
			return now.texts[plan], nil
		}
	}
	for _, b := range f.builtins {
		if b.Plan.ID == plan && b.Plan.Digest == digest {
			return b.Text, nil
		}
	}
	if f.opt.Keep == "" || digest == "" {
		return nil, none
	}
	name, err := f.keptAt(plan, digest)
	if err != nil {
		return nil, err
	}
	src, err := readBounded(name)
	if os.IsNotExist(err) {
		return nil, none
	}
	return src, err
}

// Plan is the plan that a kept text is, as Text finds it.
func (f *Files) Plan(plan, digest string) (testplans.Plan, bool) {
	src, err := f.Text(plan, digest)
	if err != nil {
		return testplans.Plan{}, false
	}
	p, err := f.format(plan+"@"+digest, src)
	return p, err == nil
}
