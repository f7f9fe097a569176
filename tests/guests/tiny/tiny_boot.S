# The tiny guest for BIOS disks: a boot sector that prints READY on the serial console and then "beat 1", "beat 2", ...
# one per second of the firmware's clock (interrupt 15h, function 86h). Processor in real mode; one thread.
.code16
.global _start
_start:
  ljmp $0, $begin
begin:
  xorw %ax, %ax
  movw %ax, %ds
  movw %ax, %ss
  movw $0x7c00, %sp
  sti
  cld
  movw $ready, %si
  call print
next:
  movw $0x000f, %cx  # 0xf4240 microseconds
  movw $0x4240, %dx
  movb $0x86, %ah
  int $0x15
  movw $beat, %si
  call print
  incw beats
  movw beats, %ax
  movw $end, %di
digit:
  xorw %dx, %dx
  movw $10, %bx
  divw %bx
  addb $'0', %dl
  decw %di
  movb %dl, (%di)
  testw %ax, %ax
  jnz digit
  movw %di, %si
  call print
  jmp next

# The text at si, up to its zero byte.
print:
  lodsb
  testb %al, %al
  jz printed
  movb %al, %bl
  movw $0x3fd, %dx  # line status of COM1
wait:
  inb %dx, %al
  testb $0x20, %al
  jz wait
  movw $0x3f8, %dx
  movb %bl, %al
  outb %al, %dx
  jmp print
printed:
  ret

beats: .word 0
ready: .asciz "READY\n"
beat: .asciz "beat "
.skip 6
end: .asciz "\n"
.org 510
.word 0xaa55
.org 1048576  # a cylinder at least, or the firmware finds no sectors
