//! How effects are written: a list of tables, each with its `type` and what differs from its defaults.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::dsp::chain::MOST_EFFECTS;
use crate::dsp::effect::Effect;

use super::form::{Form, Read, Wrong};
use super::suggest::{nearest, sentence};

/// Effects in order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effects;

/// What is right, as it stands after "expected".
const EXPECTS: &str = "a list of effects, such as { type = \"compressor\", threshold_db = -20.0 }";

impl Form<Vec<Effect>> for Effects {
    fn expects(&self) -> String {
        EXPECTS.to_owned()
    }

    fn read(&self, value: &Spanned<DeValue<'_>>, _: &Path) -> Read<Vec<Effect>> {
        let Some(array) = value.get_ref().as_array() else {
            return Err(Wrong::kind(value, EXPECTS));
        };
        if array.len() > MOST_EFFECTS {
            return Err(Wrong::value(value, format!("expected {MOST_EFFECTS} effects or fewer")));
        }
        let mut effects = Vec::new();
        let mut wrongs = Vec::new();
        for entry in array.iter() {
            match effect(entry) {
                Ok(effect) => effects.push(effect),
                Err(wrong) => wrongs.extend(wrong),
            }
        }
        if wrongs.is_empty() { Ok(effects) } else { Err(wrongs) }
    }

    fn write(&self, value: &Vec<Effect>) -> String {
        if value.is_empty() {
            return "[]".to_owned();
        }
        let lines: Vec<String> = value.iter().map(|effect| format!("    {},\n", written(effect))).collect();
        format!("[\n{}]", lines.concat())
    }
}

fn written(effect: &Effect) -> String {
    let mut text = format!("{{ type = \"{}\"", effect.kind());
    for (parameter, value) in effect.parameters() {
        if value.to_bits() != parameter.default.to_bits() {
            text.push_str(&format!(", {} = {}", parameter.name, toml::Value::Float(value)));
        }
    }
    text + " }"
}

fn effect(entry: &Spanned<DeValue<'_>>) -> Read<Effect> {
    let Some(table) = entry.get_ref().as_table() else {
        return Err(Wrong::kind(entry, "a table, such as { type = \"limiter\" }"));
    };
    let mut effect = kind(entry, table)?;
    let mut wrongs = Vec::new();
    for (name, value) in table.iter().filter(|(name, _)| name.get_ref() != "type") {
        if let Err(wrong) = parameter(&mut effect, name.get_ref(), &name.span(), value) {
            wrongs.extend(wrong);
        }
    }
    if wrongs.is_empty() { Ok(effect) } else { Err(wrongs) }
}

fn kind(entry: &Spanned<DeValue<'_>>, table: &DeTable<'_>) -> Read<Effect> {
    let kinds: Vec<&str> = Effect::kinds().iter().map(Effect::kind).collect();
    let Some(value) = table.get("type") else {
        let label = format!("expected a `type`: one of {}", sentence(&kinds));
        return Err(Wrong::value(entry, label));
    };
    let Some(word) = value.get_ref().as_str() else {
        return Err(Wrong::kind(value, "the name of an effect"));
    };
    Effect::of_kind(word).ok_or_else(|| {
        let label = match nearest(word, &kinds) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => format!("expected one of {}", sentence(&kinds)),
        };
        Wrong::value(value, label)
    })
}

fn parameter(
    effect: &mut Effect,
    name: &str,
    span: &std::ops::Range<usize>,
    value: &Spanned<DeValue<'_>>,
) -> Read<()> {
    let parameters = effect.parameters();
    let Some((parameter, _)) = parameters.iter().find(|(parameter, _)| parameter.name == name) else {
        let names: Vec<&str> = parameters.iter().map(|(parameter, _)| parameter.name).collect();
        let label = match nearest(name, &names) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("a {} has {}", effect.kind(), sentence(&names)),
        };
        return Err(vec![Wrong { span: span.clone(), is_type: false, label, help: None }]);
    };
    let number = match value.get_ref() {
        DeValue::Integer(integer) => {
            i32::from_str_radix(integer.as_str(), integer.radix()).ok().map(f64::from)
        }
        DeValue::Float(float) => float.as_str().parse().ok(),
        _ => return Err(Wrong::kind(value, parameter.expects())),
    };
    let number = number.filter(|number| parameter.allows(*number));
    let number = number.ok_or_else(|| Wrong::value(value, format!("expected {}", parameter.expects())))?;
    effect.set(name, number);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Read<Vec<Effect>> {
        Effects.read(&DeValue::parse(text).expect("TOML"), Path::new("/"))
    }

    #[test]
    fn what_is_written_reads_back() {
        let all = Effect::kinds();
        assert_eq!(read(&Effects.write(&all)), Ok(all));
        for profile in crate::station::live::built_in().values() {
            assert_eq!(read(&Effects.write(&profile.effects)).as_ref(), Ok(&profile.effects));
        }
        assert_eq!(read("[]"), Ok(Vec::new()));
    }

    #[test]
    fn each_thing_that_is_wrong_is_told_where_it_stands() {
        for (text, place, word) in [
            ("7", "7", "list"),
            ("[7]", "7", "table"),
            ("[{}]", "{}", "`type`"),
            ("[{ type = 7 }]", "7", "name"),
            ("[{ type = \"compresor\" }]", "\"compresor\"", "compressor"),
            ("[{ type = \"flanger\" }]", "\"flanger\"", "reverb"),
            ("[{ type = \"gain\", gain = 1 }]", "gain", "gain_db"),
            ("[{ type = \"gain\", gain_db = 1000 }]", "1000", "-80"),
            ("[{ type = \"gain\", gain_db = nan }]", "nan", "-80"),
            ("[{ type = \"gain\", gain_db = \"1\" }]", "\"1\"", "number"),
        ] {
            let wrongs = read(text).expect_err(text);
            assert_eq!(wrongs.len(), 1, "{text}");
            let shown = &text[wrongs[0].span.clone()];
            assert!(shown == place && wrongs[0].label.contains(word), "{text}: {shown}: {}", wrongs[0].label);
        }
        let two = "[{ type = \"gain\", gain_db = 1000 }, { type = \"gate\" }]";
        assert_eq!(read(two).expect_err("two").len(), 2);
    }
}
