//! Comments and string literals of Rust sources.

use rustc_lexer::{FrontmatterAllowed, LiteralKind, TokenKind, tokenize};

/// Stands for code, so that no phrase spans it.
const CODE: char = '|';

/// The source with everything but comments and string literals replaced, in the same lines.
pub fn of_rust(source: &str) -> String {
    let mut prose = String::with_capacity(source.len());
    let mut rest = source;
    for token in tokenize(source, FrontmatterAllowed::No) {
        let (text, after) = rest.split_at(token.len as usize);
        rest = after;
        match token.kind {
            TokenKind::Whitespace => prose.push_str(text),
            TokenKind::LineComment { .. } => {
                let content = text.trim_start_matches('/');
                prose.push_str(content.strip_prefix('!').unwrap_or(content));
            }
            TokenKind::BlockComment { .. } => prose.push_str(text),
            TokenKind::Literal {
                kind: LiteralKind::Str { .. } | LiteralKind::RawStr { .. },
                ..
            } => {
                prose.push(CODE);
                prose.push_str(&text.replace("\\\n", " \n"));
                prose.push(CODE);
            }
            _ => prose.push(CODE),
        }
    }
    prose
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_remain_in_their_lines() {
        let source = "/// One\n/// two.\nfn kin() {\n    // Three.\n    say(\"four \\\n        five\", kin);\n}\n";
        let prose = of_rust(source);
        let lines: Vec<&str> = prose.lines().collect();
        assert_eq!(lines.len(), source.lines().count());
        assert_eq!(lines[..2], [" One", " two."]);
        assert_eq!(lines[3], "     Three.");
        assert!(lines[4].contains("\"four"));
        assert!(lines[5].contains("five\""));
        assert!(!prose.contains("kin"));
    }
}
