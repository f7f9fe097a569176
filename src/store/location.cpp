#include "store/location.hpp"

#include "store/postgres.hpp"

namespace nuraghe::store {

Result<std::unique_ptr<Store>> open_location(const std::string& text, const std::string& schema) {
  constexpr std::string_view kPrefix = "postgres:";
  PostgresOptions options;
  options.schema = schema;
  if (text.starts_with("postgresql://") || text.starts_with("postgres://")) return open_postgres(text, options);
  if (text.starts_with(kPrefix)) return open_postgres(text.substr(kPrefix.size()), options);
  return invalid(
      "this is no store: write postgres:CONNECTION or postgresql://USER@HOST/DATABASE, with a connection string of "
      "libpq (postgresql.org/docs/15/libpq-connect.html)");
}

}  // namespace nuraghe::store
