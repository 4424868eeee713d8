CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    plan TEXT NOT NULL,
    plan_digest TEXT NOT NULL,
    channel TEXT NOT NULL,
    name TEXT NOT NULL,
    standing INTEGER NOT NULL,
    since_us INTEGER NOT NULL,
    until_us INTEGER NOT NULL,
    kind TEXT NOT NULL,
    context TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_us INTEGER NOT NULL
);
CREATE UNIQUE INDEX runs_standing ON runs (plan, channel) WHERE standing;
CREATE INDEX runs_channel ON runs (channel, plan, id);
CREATE TABLE results (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id TEXT NOT NULL REFERENCES runs (id),
    step TEXT NOT NULL,
    check_id TEXT NOT NULL,
    verdict TEXT NOT NULL,
    digest TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    result TEXT NOT NULL
);
CREATE INDEX results_part ON results (run_id, step, check_id, id);
CREATE TABLE attestations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id TEXT NOT NULL REFERENCES runs (id),
    step TEXT NOT NULL,
    check_id TEXT NOT NULL,
    verdict TEXT NOT NULL,
    by_name TEXT NOT NULL,
    note TEXT NOT NULL,
    at_us INTEGER NOT NULL
);
CREATE INDEX attestations_run ON attestations (run_id, id);
CREATE TABLE reviews (
    id TEXT PRIMARY KEY,
    run_id TEXT NOT NULL REFERENCES runs (id),
    state TEXT NOT NULL,
    by_name TEXT NOT NULL,
    role TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    comment TEXT NOT NULL,
    digest TEXT NOT NULL
);
CREATE INDEX reviews_run ON reviews (run_id, at_us);
