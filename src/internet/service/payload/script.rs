//! Scripts that print a line and end well.

use super::super::answer::TEXT;

/// For everything that is piped into a shell.
pub fn shell() -> Vec<u8> {
    b"#!/bin/sh\necho 'done'\nexit 0\n".to_vec()
}

pub fn by_ending(ending: &str) -> Option<(&'static str, Vec<u8>)> {
    let (kind, text) = match ending {
        "sh" | "bash" | "ash" | "zsh" => return Some(("application/x-sh", shell())),
        "py" => ("text/x-python", "#!/usr/bin/env python3\nprint('done')\n"),
        "pl" | "pm" => ("text/x-perl", "#!/usr/bin/env perl\nprint \"done\\n\";\n"),
        "rb" => ("text/x-ruby", "#!/usr/bin/env ruby\nputs 'done'\n"),
        "lua" => ("text/x-lua", "#!/usr/bin/env lua\nprint('done')\n"),
        "php" => ("text/x-php", "<?php echo \"done\\n\";\n"),
        "js" | "mjs" | "cjs" => ("text/javascript", "console.log('done');\n"),
        "ps1" => (TEXT, "Write-Output 'done'\n"),
        "c" | "h" => ("text/x-c", "#include <stdio.h>\nint main(void) { puts(\"done\"); return 0; }\n"),
        "go" => ("text/x-go", "package main\n\nfunc main() { println(\"done\") }\n"),
        "service" => (TEXT, "[Service]\nType=oneshot\nExecStart=/bin/true\n"),
        _ => return None,
    };
    Some((kind, text.as_bytes().to_vec()))
}
