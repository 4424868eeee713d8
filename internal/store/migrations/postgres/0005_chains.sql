CREATE TABLE chains (
    digest TEXT PRIMARY KEY,
    chain BYTEA NOT NULL
);
