// The tiny guest: a whole "operating system" of a few KB that shows whether its memory went on.
//
// Booted by the multiboot protocol (QEMU's -kernel), it prints READY on the serial console and then "beat 1", "beat 2",
// ... one per second of its own timer. The counter lives in its RAM: after pause, freeze, thaw or fork the count goes
// on where it was; after a fresh boot it begins at 1 again. Needs 4 MiB of memory, one processor and a PC's interval
// timer and interrupt controller (machine types q35 and pc; microvm has no timer wired: READY without beats). One
// thread, interrupts on only while it halts in the main loop.

using u8 = unsigned char;
using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;

// Multiboot header (specification 0.6.96 §3.1), the entry with a stack of its own, and the timer's interrupt gate.
asm(R"(
.set kMultibootMagic, 0x1BADB002
.section .multiboot, "a"
.align 4
.long kMultibootMagic, 0, -kMultibootMagic

.section .bss
.align 16
.skip 8192
stack_top:

.section .text
.global _start
_start:
  cli
  cld
  mov $stack_top, %esp
  call run
.global timer_gate
timer_gate:
  pushal
  cld
  call on_timer
  popal
  iret
.section .note.GNU-stack, "", @progbits
.text
)");

namespace {

constexpr u16 kSerial = 0x3f8;  // COM1
constexpr u16 kMasterPic = 0x20, kSlavePic = 0xa0;
constexpr u8 kTimerVector = 32;  // the first that is not an exception
constexpr u32 kTicksPerBeat = 100;
constexpr u16 kTimerDivisor = 11932;  // 1193182 Hz / 11932 = 100 Hz

void out(u16 port, u8 value) { asm volatile("outb %0, %1" ::"a"(value), "Nd"(port)); }
u8 in(u16 port) {
  u8 value;
  asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}

void print(char c) {
  while ((in(kSerial + 5) & 0x20) == 0) {
  }
  out(kSerial, static_cast<u8>(c));
}
void print(const char* text) {
  while (*text != 0) print(*text++);
}
void print(u32 number) {
  char digits[10];
  int count = 0;
  do {
    digits[count++] = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number != 0);
  while (count > 0) print(digits[--count]);
}

struct [[gnu::packed]] Gate {
  u16 offset_low, selector;
  u8 zero, flags;
  u16 offset_high;
};
struct [[gnu::packed]] TableRegister {
  u16 limit;
  u32 base;
};

// Null, flat 32-bit code, flat 32-bit data.
u64 segments[3] = {0, 0x00cf9a000000ffffULL, 0x00cf92000000ffffULL};
Gate gates[kTimerVector + 1];
volatile u32 ticks;
u32 beats;

void load_segments() {
  const TableRegister table{sizeof segments - 1, reinterpret_cast<u32>(segments)};
  asm volatile(
      "lgdt %0\n ljmp $8, $1f\n 1: mov $16, %%eax\n mov %%eax, %%ds\n mov %%eax, %%es\n mov %%eax, %%fs\n"
      "mov %%eax, %%gs\n mov %%eax, %%ss" ::"m"(table)
      : "eax", "memory");
}

extern "C" void timer_gate();

// Moves the interrupts of both controllers away from the exceptions, lets only the timer's through, starts it.
void start_timer() {
  const u32 address = reinterpret_cast<u32>(&timer_gate);
  gates[kTimerVector] = {static_cast<u16>(address), 8, 0, 0x8e, static_cast<u16>(address >> 16)};
  const TableRegister table{sizeof gates - 1, reinterpret_cast<u32>(gates)};
  asm volatile("lidt %0" ::"m"(table) : "memory");
  const u8 set_up[][2] = {{0x11, 0x11}, {kTimerVector, kTimerVector + 8}, {4, 2}, {1, 1}, {0xfe, 0xff}};
  for (unsigned step = 0; step < 5; ++step) {
    out(static_cast<u16>(step == 0 ? kMasterPic : kMasterPic + 1), set_up[step][0]);
    out(static_cast<u16>(step == 0 ? kSlavePic : kSlavePic + 1), set_up[step][1]);
  }
  out(0x43, 0x34);  // channel 0, rate generator
  out(0x40, kTimerDivisor & 0xff);
  out(0x40, kTimerDivisor >> 8);
}

}  // namespace

extern "C" void on_timer() {
  ticks = ticks + 1;
  out(kMasterPic, 0x20);
}

extern "C" [[noreturn]] void run() {
  print("READY\n");
  load_segments();
  start_timer();
  u32 last = 0;
  for (;;) {
    asm volatile("sti\n hlt\n cli" ::: "memory");
    if (ticks - last < kTicksPerBeat) continue;
    last = last + kTicksPerBeat;
    print("beat ");
    print(++beats);
    print("\n");
  }
}
