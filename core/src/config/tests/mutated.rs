//! A thousand broken files: never a panic, always a place.

use super::*;

/// Files made from the reference by one to four mutations each.
const FILES: u64 = 1_000;
/// Change it to draw other files; a failure prints the one that it happened with.
const SEED: u64 = 0x0A10_4E00;

/// A small generator of its own (`SplitMix64`): the same files on every machine and release.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % sides.max(1) as u64).expect("below `sides`")
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.roll(items.len())]
    }
}

const VALUES: [&str; 28] = [
    "",
    "~",
    "-1",
    "0",
    "1e3",
    "1e999",
    ".nan",
    "18446744073709551616",
    "99999999999999999999999999",
    "NO",
    "yes",
    "[]",
    "{}",
    "[[[[]]]]",
    "\"\"",
    "'${X}'",
    "${",
    "file:",
    "file:/",
    "!!binary AA",
    "&a [*a]",
    "*b",
    "|\n  x",
    "\u{202e}",
    "\u{0}",
    "\"\\u0000\"",
    "- -",
    "? x",
];

fn mutate(text: &str, dice: &mut Dice) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let at = dice.roll(lines.len());
    match dice.roll(9) {
        0 => {
            let mut bytes = text.as_bytes().to_vec();
            let at = dice.roll(bytes.len());
            bytes[at] ^= 1 << dice.roll(8);
            return String::from_utf8_lossy(&bytes).into_owned();
        }
        1 => drop(lines.remove(at)),
        2 => lines.insert(at, lines[dice.roll(lines.len())].clone()),
        3 => {
            let other = dice.roll(lines.len());
            lines.swap(at, other);
        }
        4 => lines[at].insert_str(0, ["  ", "\t", "- ", "    ", "? "][dice.roll(5)]),
        5 => {
            let key = lines[at].split(':').next().unwrap_or_default().to_owned();
            lines[at] = format!("{key}: {}", dice.pick(&VALUES));
        }
        6 => {
            let digits: Vec<usize> = lines[at]
                .char_indices()
                .filter(|(_, c)| c.is_ascii_digit())
                .map(|(index, _)| index)
                .collect();
            if !digits.is_empty() {
                let index = *dice.pick(&digits);
                lines[at].insert_str(index, "99999999999999999999");
            }
        }
        7 => {
            let letters: Vec<char> = lines[at].chars().collect();
            let cut = dice.roll(letters.len());
            lines[at] = letters.iter().take(cut).chain(letters.iter().skip(cut + 1)).collect();
        }
        _ => lines.truncate(at),
    }
    lines.join("\n") + "\n"
}

#[test]
fn a_thousand_mutated_files_are_refused_at_a_place_or_taken() {
    let reference = include_str!("../../../../conf/aione.yaml");
    let included = [
        ("providers/local.yaml", include_str!("../../../../conf/providers/local.yaml")),
        ("prices/openai.yaml", include_str!("../../../../conf/prices/openai.yaml")),
    ];
    let (mut refused, mut problems_in_all) = (0, 0);
    for number in 0..FILES {
        let mut dice = Dice(SEED + number);
        let mut text = reference.to_owned();
        for _ in 0..=dice.roll(4) {
            text = mutate(&text, &mut dice);
        }
        let result = std::panic::catch_unwind(|| {
            let mut files = vec![("aione.yaml", text.as_str())];
            files.extend(included);
            check_files(&files)
        });
        let result = result.unwrap_or_else(|_| panic!("panic with seed {SEED:#x} + {number}:\n{text}"));
        let Err(problems) = result else { continue };
        refused += 1;
        problems_in_all += problems.len();
        assert!(!problems.is_empty(), "seed {SEED:#x} + {number}: refused without a reason:\n{text}");
        for problem in problems {
            let line_is_there = (problem.line() as usize) <= text.lines().count() + 1;
            assert!(problem.file().starts_with("conf/"), "seed {SEED:#x} + {number}: {problem}");
            assert!(problem.line() > 0 && problem.column() > 0, "seed {SEED:#x} + {number}: {problem}");
            assert!(problem.file() != "conf/aione.yaml" || line_is_there, "{number}: {problem}");
            assert!(!problem.to_string().chars().any(char::is_control), "{number}: {problem}");
            assert!(!problem.message.contains("canary"), "{number}: {problem}");
        }
    }
    // Enough of them are really broken, and more than the first problem of each is found.
    assert!(refused > FILES / 2, "only {refused} of {FILES} were refused");
    assert!(problems_in_all > refused as usize, "{problems_in_all} problems in {refused} files");
}
