// Where a program keeps its rows, as people say it on a command line (`--store`).
#pragma once

#include "store/store.hpp"

namespace nuraghe::store {

// `text`: "postgres:" and a libpq connection string ("postgres:host=db user=nuraghe"), or a URI as libpq takes it
// ("postgresql://nuraghe@db/nuraghe", also "postgres://…" and "postgres:postgresql://…"); what it leaves out comes from
// libpq's environment, password file and service file. `schema`: which holds the store, as PostgresOptions::schema.
// kInvalid for a text of neither form, which is not repeated in the message because it may hold a password; else as
// open_postgres.
Result<std::unique_ptr<Store>> open_location(const std::string& text, const std::string& schema);

}  // namespace nuraghe::store
