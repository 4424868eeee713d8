CREATE TABLE chains (
    digest TEXT PRIMARY KEY,
    chain BLOB NOT NULL
);
