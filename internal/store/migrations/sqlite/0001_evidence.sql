CREATE TABLE systems (
    id TEXT PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    roles TEXT NOT NULL,
    base_url TEXT NOT NULL,
    simulated INTEGER NOT NULL,
    created_us INTEGER NOT NULL
);
CREATE TABLE channels (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    client_id TEXT NOT NULL REFERENCES systems (id) ON DELETE CASCADE,
    server_id TEXT NOT NULL REFERENCES systems (id) ON DELETE CASCADE,
    options TEXT NOT NULL,
    created_us INTEGER NOT NULL
);
CREATE INDEX channels_client ON channels (client_id);
CREATE INDEX channels_server ON channels (server_id);
CREATE TABLE exchanges (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    channel TEXT NOT NULL COLLATE NOCASE,
    client TEXT NOT NULL COLLATE NOCASE,
    server TEXT NOT NULL COLLATE NOCASE,
    mode TEXT NOT NULL,
    kind TEXT NOT NULL COLLATE NOCASE,
    resource_type TEXT NOT NULL COLLATE NOCASE,
    resource_id TEXT NOT NULL,
    operation TEXT NOT NULL COLLATE NOCASE,
    method TEXT NOT NULL COLLATE NOCASE,
    url TEXT NOT NULL,
    target TEXT NOT NULL,
    status INTEGER NOT NULL,
    answered INTEGER NOT NULL,
    request_size INTEGER NOT NULL,
    response_size INTEGER NOT NULL,
    start_us INTEGER NOT NULL,
    first_byte_us INTEGER NOT NULL,
    end_us INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    failure TEXT NOT NULL,
    failure_side TEXT NOT NULL,
    failure_detail TEXT NOT NULL,
    edits INTEGER NOT NULL
);
CREATE INDEX exchanges_channel ON exchanges (channel, number);
CREATE INDEX exchanges_client ON exchanges (client, number);
CREATE INDEX exchanges_server ON exchanges (server, number);
CREATE INDEX exchanges_kind ON exchanges (kind, number);
CREATE INDEX exchanges_type ON exchanges (resource_type, number);
CREATE INDEX exchanges_status ON exchanges (status, number);
CREATE INDEX exchanges_operation ON exchanges (operation, number) WHERE operation <> '';
CREATE INDEX exchanges_failure ON exchanges (failure, number) WHERE failure <> '';
CREATE INDEX exchanges_start ON exchanges (start_us);
CREATE TABLE exchange_details (
    number INTEGER PRIMARY KEY REFERENCES exchanges (number) ON DELETE CASCADE,
    detail BLOB NOT NULL
);
CREATE TABLE bodies (
    digest TEXT PRIMARY KEY,
    stored INTEGER NOT NULL,
    redacted INTEGER NOT NULL,
    data BLOB,
    blob TEXT NOT NULL
);
CREATE TABLE bulk_urls (
    url TEXT PRIMARY KEY,
    kind TEXT NOT NULL
);
CREATE TABLE pending (
    number INTEGER PRIMARY KEY REFERENCES exchanges (number) ON DELETE CASCADE
);
CREATE TABLE reports (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    number INTEGER NOT NULL REFERENCES exchanges (number) ON DELETE CASCADE,
    rules INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    report BLOB NOT NULL
);
CREATE INDEX reports_number ON reports (number, id);
CREATE TABLE judged (
    number INTEGER PRIMARY KEY REFERENCES exchanges (number) ON DELETE CASCADE,
    report_id INTEGER NOT NULL REFERENCES reports (id),
    rules INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    errors INTEGER NOT NULL,
    warnings INTEGER NOT NULL,
    information INTEGER NOT NULL,
    not_checked INTEGER NOT NULL,
    side TEXT NOT NULL,
    headline TEXT NOT NULL,
    unjudged TEXT NOT NULL,
    tool_error TEXT NOT NULL
);
CREATE INDEX judged_rules ON judged (rules);
CREATE INDEX judged_verdict ON judged (verdict, number);
CREATE TABLE findings (
    number INTEGER NOT NULL REFERENCES exchanges (number) ON DELETE CASCADE,
    rule TEXT NOT NULL COLLATE NOCASE,
    constraint_key TEXT NOT NULL COLLATE NOCASE,
    profile TEXT NOT NULL,
    severity TEXT NOT NULL,
    side TEXT NOT NULL,
    unchecked INTEGER NOT NULL,
    occurrences INTEGER NOT NULL,
    PRIMARY KEY (number, rule, constraint_key, profile, severity, side, unchecked)
) WITHOUT ROWID;
CREATE INDEX findings_rule ON findings (rule);
CREATE INDEX findings_constraint ON findings (constraint_key) WHERE constraint_key <> '';
CREATE TABLE profiles (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    url TEXT NOT NULL UNIQUE
);
CREATE TABLE judged_profiles (
    number INTEGER NOT NULL REFERENCES exchanges (number) ON DELETE CASCADE,
    profile_id INTEGER NOT NULL REFERENCES profiles (id),
    PRIMARY KEY (number, profile_id)
) WITHOUT ROWID;
CREATE INDEX judged_profiles_profile ON judged_profiles (profile_id, number);
