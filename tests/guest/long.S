# A 64-bit kernel for debuggers: it counts in long mode, starts a second processor, which counts there too, and powers off
# when that has counted. It has no data but what its symbols name.
        .set    LAPIC, 0xfee00000
        .set    TRAMPOLINE, 0x1000
        .code64
        .globl _start
_start: movabsq $0x1122334455667788, %r15
        movl    $stack, %esp
        xorl    %r12d, %r12d
        call    count
        call    count
        call    second
        call    count
1:      pause
        cmpl    $3, counted
        jb      1b
        movl    $0xfea00200, %edi       # the sleep control register: S5
        movb    $0x34, (%rdi)
2:      hlt
        jmp     2b

        .globl count
count:  incq    %r12
        movq    %r12, number
        ret

# INIT and SIPI to all but this processor. Intel SDM 3A, 9.4.4.1; the waits of real hardware are not needed.
second: movl    $trampoline, %esi
        movl    $TRAMPOLINE, %edi
        movl    $trampoline_end - trampoline, %ecx
1:      movb    (%rsi), %al
        movb    %al, (%rdi)
        incq    %rsi
        incq    %rdi
        decl    %ecx
        jnz     1b
        movq    %cr3, %rax
        movl    %eax, TRAMPOLINE + tables - trampoline
        movl    $LAPIC, %ebx
        movl    $0x1ff, 0xf0(%rbx)
        movl    $0x000c4500, 0x300(%rbx)
        movl    $0x000c4600 + (TRAMPOLINE >> 12), 0x300(%rbx)
        ret

        .globl other
other:  incl    %r13d
        movl    %r13d, counted
        pause
        jmp     other

        .code16
trampoline:
        cli
        xorw    %ax, %ax
        movw    %ax, %ds
        movl    TRAMPOLINE + tables - trampoline, %eax
        movl    %eax, %cr3
        movl    %cr4, %eax
        orl     $0x20, %eax             # PAE
        movl    %eax, %cr4
        movl    $0xc0000080, %ecx       # EFER
        rdmsr
        orl     $0x100, %eax            # LME
        wrmsr
        lgdtl   TRAMPOLINE + gdt_pointer - trampoline
        movl    %cr0, %eax
        orl     $0x80000001, %eax       # PG, PE
        movl    %eax, %cr0
        ljmpl   $8, $TRAMPOLINE + long - trampoline
        .code64
long:   xorl    %r13d, %r13d
        movl    $other, %eax
        jmp     *%rax
        .balign 8
gdt:    .quad   0
        .quad   0x00af9a000000ffff      # code, 64 bits
gdt_pointer:
        .word   15
        .long   TRAMPOLINE + gdt - trampoline
tables: .long   0
trampoline_end:

        .balign 8
        .globl number
number: .quad   0
        .globl counted
counted: .long  0
        .balign 16
        .space  256
stack:
