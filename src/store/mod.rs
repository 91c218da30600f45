//! The only place with SQL: connections, transactions, migrations, queries and the translation of filters.
