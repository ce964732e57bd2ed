// What no successful operation does: allocate, and call the kernel. Allocations are counted by an
// operator new of our own; system calls are forbidden to a child, which the first one would kill.

#include <sys/syscall.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "process.h"
#include "sanitizers.h"
#include "system_calls.h"

namespace {
std::atomic<std::size_t> allocations = 0;  // NOLINT: what operator new can reach
}  // namespace

#if ATOLL_OWN_NEW
void* operator new(std::size_t size) {
  ++allocations;
  if (void* const memory = std::malloc(size)) {
    return memory;
  }
  throw std::bad_alloc();
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  ++allocations;
  const auto align = static_cast<std::size_t>(alignment);
  if (void* const memory = std::aligned_alloc(align, (size + align - 1) / align * align)) {
    return memory;
  }
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
#endif  // ATOLL_OWN_NEW

namespace {

using process::must;

constexpr std::size_t kLong = 5'000;
constexpr int kRounds = 200;

struct Operation {
  std::string_view name;
  std::function<bool()> succeeds;
};

class HotPath : public testing::Test {
 protected:
  HotPath() {
    const auto ok = [](const auto& result) { return result.ok(); };
    const auto add = [this](std::string_view name, std::function<bool()> succeeds) {
      operations_.push_back({name, std::move(succeeds)});
    };
    const atoll::Slot number = list_[0];
    const atoll::Slot real = list_[1];
    const atoll::Slot flag = list_[2];
    const atoll::Slot text = list_[3];
    const atoll::Slot pinned = list_[4];
    const atoll::Slot pinned_real = list_[5];
    const atoll::Slot mixed = list_[6];
    const atoll::Counter counter = must(list_.counter(4));
    const atoll::Gauge gauge = must(list_.gauge(5));

    add("load number", [=] { return ok(number.load()) && ok(pinned.load()); });
    add("load<int64>", [=] { return ok(number.load<std::int64_t>()); });
    add("load<double>", [=] { return ok(real.load<double>()); });
    add("load<bool>", [=] { return ok(flag.load<bool>()); });
    add("load_into", [=, this] { return ok(text.load_into(room_)); });
    add("store number", [=] { return ok(number.store(1)) && ok(real.store(0.5)); });
    add("store bool", [=] { return ok(flag.store(true)); });
    add("store pinned", [=] { return ok(pinned.store(1)) && ok(pinned_real.store(0.5)); });
    add("store longer text", [=, this] { return ok(text.store(long_text_)); });
    add("store text that fits a header", [=] { return ok(mixed.store("short")); });
    add("store none", [=] { return ok(mixed.store(nullptr)); });
    add("store longer bytes", [=, this] {
      return ok(mixed.store(atoll::BytesView(long_text_.data(), long_text_.size())));
    });
    add("exchange", [=] { return ok(number.exchange(2)) && ok(pinned.exchange(2)); });
    add("compare_exchange",
        [=] { return ok(number.compare_exchange(2, 3)) && ok(pinned.compare_exchange(2, 3)); });
    add("compare_exchange of longer text",
        [=, this] { return ok(text.compare_exchange(long_text_, long_text_)); });
    add("compare_exchange with a stamp", [=] {
      atoll::Stamp stamp = number.stamp();
      const auto swapped = number.compare_exchange(stamp, 4);
      return swapped.ok() && *swapped;
    });
    add("load_stamped", [=] { return ok(number.load_stamped()); });
    add("update", [=] {
      return ok(number.update(
          [](const atoll::Value& value) { return std::get<std::int64_t>(value) + 1; }));
    });
    add("wait for what has happened", [=] {
      const atoll::Stamp before = number.stamp();
      return ok(number.fetch_add(1)) && ok(number.wait(before, absl::Seconds(1)));
    });
    add("fetch_add and its kin", [=] {
      bool all = true;
      for (const atoll::Slot slot : {number, pinned}) {
        all &= ok(slot.fetch_add(1)) && ok(slot.fetch_sub(1)) && ok(slot.fetch_and(-1)) &&
               ok(slot.fetch_or(0)) && ok(slot.fetch_xor(0)) && ok(slot.fetch_min(9)) &&
               ok(slot.fetch_max(-9));
      }
      for (const atoll::Slot slot : {real, pinned_real}) {
        all &= ok(slot.fetch_add(1.0)) && ok(slot.fetch_sub(1.0)) && ok(slot.fetch_min(9.0)) &&
               ok(slot.fetch_max(-9.0));
      }
      return all;
    });
    add("Counter", [=] {
      std::int64_t seen = counter.load();
      return counter.compare_exchange(seen, seen + 1) && counter.fetch_add(1) == seen + 1;
    });
    add("Gauge", [=] { return gauge.exchange(1.0) == gauge.fetch_add(1.0) || gauge.load() > 0; });
    add("at", [this] { return list_.at(-1).ok(); });
    add("type, capacity, version",
        [=] { return ok(text.type()) && ok(text.capacity()) && text.version() > 0; });
    add("count and index", [=, this] { return ok(list_.count(7)) && ok(list_.index(7)); });
    add("load_range", [this] { return list_.load_range(7, numbers_).ok(); });
    add("store_range",
        [this] { return list_.store_range(7, std::span<const std::int64_t>(numbers_)).ok(); });
  }

  // How many operations succeeded.
  int perform_all() const {
    int succeeded = 0;
    for (const Operation& operation : operations_) {
      succeeded += operation.succeeds() ? 1 : 0;
    }
    return succeeded;
  }

  const atoll::List list_ = must(atoll::List::create_anonymous(
      {0, 0.5, true, libatoll::text(std::string(kLong, 'a'), kLong), libatoll::pinned(0),
       libatoll::pinned(0.5), libatoll::text(kLong), 10, 11, 12}));
  const std::string long_text_ = std::string(kLong, 'b');
  std::string room_ = std::string(kLong, '\0');
  std::array<std::int64_t, 3> numbers_ = {};
  std::vector<Operation> operations_;
};

TEST_F(HotPath, AllocatesNothing) {
  ATOLL_NEEDS_OWN_NEW();
  for (const Operation& operation : operations_) {
    ASSERT_TRUE(operation.succeeds()) << operation.name;
    const std::size_t before = allocations;
    for (int i = 0; i < kRounds; ++i) {
      ASSERT_TRUE(operation.succeeds()) << operation.name;
    }
    EXPECT_EQ(allocations - before, 0U) << operation.name;
  }
  // The counter counts: what returns a string does allocate, once.
  const std::size_t before = allocations;
  ASSERT_TRUE(list_[3].load<std::string>().ok());
  EXPECT_EQ(allocations - before, 1U);
  std::printf("%zu operations, %d times each, no allocation\n", operations_.size(), kRounds);
}

TEST_F(HotPath, CallsNoKernel) {
  ATOLL_NEEDS_NO_OTHER_SYSTEM_CALLS();
  const int wanted = static_cast<int>(operations_.size());
  process::Child child([&] {
    ATOLL_CHECK(perform_all() == wanted);  // what the first time alone needs
    process::allow_only({SYS_exit_group, SYS_write});
    for (int i = 0; i < kRounds; ++i) {
      ATOLL_CHECK(perform_all() == wanted) << "round " << i;
    }
    return 0;
  });
  EXPECT_EQ(child.wait(), 0);
}

TEST_F(HotPath, AnotherCallWouldHaveBeenSeen) {
  process::Child child([&] {
    process::allow_only({SYS_exit_group, SYS_write});
    list_[0].store(1).IgnoreError();
    return syscall(SYS_getppid) > 0 ? 0 : 1;
  });
  EXPECT_EQ(child.wait_for_signal(), SIGSYS);
}

}  // namespace
