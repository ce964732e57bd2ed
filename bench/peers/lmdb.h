// LMDB: one key in a memory-mapped B+ tree in shared memory, without syncing to a disk. Each store and
// load is a transaction of its own.

#ifndef ATOLL_BENCH_PEERS_LMDB_H_
#define ATOLL_BENCH_PEERS_LMDB_H_

#include <lmdb.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>

#include "../harness.h"

namespace bench {

// A database; removed with this object. Not to be used in a child of fork: open it there.
class LmdbFiles {
 public:
  explicit LmdbFiles(std::size_t capacity)
      : path_("/dev/shm/atoll_bench_lmdb_" + std::to_string(getpid()) + "_" +
              std::to_string(count++)),
        map_bytes_(64 * capacity + (16 << 20)) {
    must(mkdir(path_.c_str(), 0700) == 0, "mkdir for LMDB");
  }
  ~LmdbFiles() {
    unlink((path_ + "/data.mdb").c_str());
    unlink((path_ + "/lock.mdb").c_str());
    rmdir(path_.c_str());
  }
  LmdbFiles(const LmdbFiles&) = delete;
  LmdbFiles& operator=(const LmdbFiles&) = delete;

  const char* path() const { return path_.c_str(); }
  std::size_t map_bytes() const { return map_bytes_; }

 private:
  static inline int count = 0;
  std::string path_;
  std::size_t map_bytes_;
};

class Lmdb {
 public:
  explicit Lmdb(const LmdbFiles& files) {
    check(mdb_env_create(&environment_));
    check(mdb_env_set_mapsize(environment_, files.map_bytes()));
    check(
        mdb_env_open(environment_, files.path(), MDB_NOSYNC | MDB_WRITEMAP | MDB_NOMEMINIT, 0600));
    MDB_txn* transaction = begin(0);
    check(mdb_dbi_open(transaction, nullptr, 0, &database_));
    check(mdb_txn_commit(transaction));
    // A reader's transaction is renewed, not made anew each time: the fastest way LMDB has.
    reader_ = begin(MDB_RDONLY);
    mdb_txn_reset(reader_);
  }
  ~Lmdb() {
    mdb_txn_abort(reader_);
    mdb_env_close(environment_);
  }
  Lmdb(const Lmdb&) = delete;
  Lmdb& operator=(const Lmdb&) = delete;

  void store(std::string_view text) {
    MDB_txn* transaction = begin(0);
    MDB_val key = this->key();
    MDB_val value = {text.size(), nullptr};
    check(mdb_put(transaction, database_, &key, &value, MDB_RESERVE));
    std::memcpy(value.mv_data, text.data(), text.size());
    check(mdb_txn_commit(transaction));
  }

  std::size_t load_into(char* out) {
    check(mdb_txn_renew(reader_));
    MDB_val key = this->key();
    MDB_val value;
    check(mdb_get(reader_, database_, &key, &value));
    std::memcpy(out, value.mv_data, value.mv_size);
    mdb_txn_reset(reader_);
    return value.mv_size;
  }

 private:
  static void check(int error) {
    if (error != MDB_SUCCESS) [[unlikely]] {
      die(std::string("LMDB: ") + mdb_strerror(error));
    }
  }
  MDB_txn* begin(unsigned flags) {
    MDB_txn* transaction = nullptr;
    check(mdb_txn_begin(environment_, nullptr, flags, &transaction));
    return transaction;
  }
  MDB_val key() { return {sizeof(slot_), &slot_}; }

  MDB_env* environment_ = nullptr;
  MDB_dbi database_ = 0;
  MDB_txn* reader_ = nullptr;
  int slot_ = 0;
};

}  // namespace bench

#endif  // ATOLL_BENCH_PEERS_LMDB_H_
