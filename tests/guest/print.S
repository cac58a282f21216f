# Prints the text at SI, in 32-bit code at ESI, on COM1.
print:  lodsb
        testb   %al, %al
        jz      1f
        movb    %al, %ah
        movw    $0x3fd, %dx
2:      inb     %dx, %al
        testb   $0x20, %al
        jz      2b
        movb    %ah, %al
        movw    $0x3f8, %dx
        outb    %al, %dx
        jmp     print
1:      ret
