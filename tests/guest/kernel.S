# A kernel of the Linux/x86 boot protocol that shows what it was given, for tests without an operating system.
#
# The real-mode part jumps to the protected-mode part, as Linux does, which prints on COM1: its command line, and the
# initial RAM disk, which must be text that ends in a NUL. Then it powers the machine off. Everything it prints are lines
# that start with "kernel:".
        .code16
        .globl _start
_start:
        .org    0x1f1
        .byte   1                       # setup_sects
        .word   0
        .long   (kernel_end - kernel + 15) / 16         # syssize
        .word   0, 0xffff, 0
        .word   0xaa55
        jmp     setup                   # its second byte ends the header
        .ascii  "HdrS"
        .word   0x20c                   # boot protocol
        .long   0
        .word   0, 0
        .byte   0                       # type_of_loader
        .byte   1                       # loadflags: LOADED_HIGH
        .word   0
        .long   0x100000                # code32_start
initrd: .long   0, 0                    # ramdisk_image, ramdisk_size
        .long   0
        .word   0                       # heap_end_ptr
        .byte   0, 0
cmdline: .long  0                       # cmd_line_ptr
        .long   0x7fffffff              # initrd_addr_max
        .long   0x1000                  # kernel_alignment
        .byte   0, 0
        .word   0                       # xloadflags
        .long   255                     # cmdline_size
        .long   0
        .quad   0
        .long   0, 0                    # payload
        .quad   0                       # setup_data
        .quad   0x100000                # pref_address
        .long   0x10000                 # init_size
        .long   0

# DS is the segment of _start; the descriptor table needs its linear address.
setup:  movw    %ds, %ax
        movzwl  %ax, %ebx
        shll    $4, %ebx
        leal    gdt(%ebx), %eax
        movl    %eax, gdt_pointer + 2
        lgdt    gdt_pointer
        movl    %cr0, %eax
        orb     $1, %al
        movl    %eax, %cr0
        ljmpl   $8, $0x100000
        .balign 8
gdt:    .quad   0
        .quad   0x00cf9a000000ffff      # code, flat
        .quad   0x00cf92000000ffff      # data, flat
gdt_pointer:
        .word   gdt_pointer - gdt - 1
        .long   0
        .org    1024

# EBX is where _start is. This runs at 1 MiB, wherever it was linked. Started without the real-mode part it has no EBX,
# but flat segments already, and a zero page at ESI, in which the header is where it is in _start.
        .code32
kernel: testl   %ebx, %ebx
        jnz     3f
        movl    %esi, %ebx
        jmp     4f
3:      movw    $16, %ax
        movw    %ax, %ds
        movw    %ax, %ss
4:      movl    $0x90000, %esp
        movl    $hello - kernel + 0x100000, %esi
        call    print
        movl    cmdline(%ebx), %esi
        call    print
        movl    $with - kernel + 0x100000, %esi
        call    print
        movl    initrd(%ebx), %esi
        testl   %esi, %esi
        jz      1f
        call    print
1:      movl    $end - kernel + 0x100000, %esi
        call    print
        movb    $0x34, 0xfea00200       # SLP_EN, SLP_TYP 5
        hlt

        .include "print.S"

hello:  .asciz  "\r\nkernel: runs\r\nkernel: command line "
with:   .asciz  "\r\nkernel: initrd "
end:    .asciz  "\r\nkernel: off\r\n"
        .balign 16
kernel_end:
