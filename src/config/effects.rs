//! How effects are written: `{ type = "compressor", threshold_db = -20.0 }`, in a list. What is left out
//! has the effect's own default. What each effect takes is in `dsp::effect`.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeString, DeValue};

use crate::dsp::chain::MOST_EFFECTS;
use crate::dsp::effect::{Effect, Parameter};

use super::form::{Form, List, Read, Wrong, is_number, number};
use super::suggest::{nearest, sentence};

/// A chain of effects.
pub(super) const EFFECTS: Effects =
    Effects(List { each: OneEffect, of: "effects { type = \"…\", … }", needs_one: false });

/// What says which effect it is.
const TYPE: &str = "type";

/// A list of effects, not longer than a chain may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effects(List<OneEffect>);

impl Form<Vec<Effect>> for Effects {
    fn expects(&self) -> String {
        Form::<Vec<Effect>>::expects(&self.0)
    }

    fn read(&self, value: &Spanned<DeValue<'_>>, base: &Path) -> Read<Vec<Effect>> {
        let effects: Vec<Effect> = self.0.read(value, base)?;
        if effects.len() > MOST_EFFECTS {
            return Err(Wrong::value(value, format!("expected {MOST_EFFECTS} effects or fewer")));
        }
        Ok(effects)
    }

    fn write(&self, value: &Vec<Effect>) -> String {
        self.0.write(value)
    }

    fn is_list(&self) -> bool {
        true
    }
}

/// One effect.
#[derive(Debug, Clone, Copy)]
pub(super) struct OneEffect;

impl Form<Effect> for OneEffect {
    fn expects(&self) -> String {
        "an effect { type = \"…\", … }".to_owned()
    }

    fn read(&self, value: &Spanned<DeValue<'_>>, _: &Path) -> Read<Effect> {
        let Some(table) = value.get_ref().as_table() else {
            return Err(Wrong::kind(value, self.expects()));
        };
        let mut kind = None;
        let mut others = Vec::new();
        for (name, value) in table.iter() {
            if name.get_ref() == TYPE {
                kind = Some(value);
            } else {
                others.push((name, value));
            }
        }
        let Some(kind) = kind else {
            return Err(Wrong::value(value, format!("expected a `{TYPE}`: one of {}", kinds())));
        };
        let mut effect = of_kind(kind)?;
        let wrongs = others.iter().filter_map(|(name, value)| set(&mut effect, name, value).err());
        let wrongs: Vec<Wrong> = wrongs.flatten().collect();
        if wrongs.is_empty() { Ok(effect) } else { Err(wrongs) }
    }

    fn write(&self, value: &Effect) -> String {
        let parameters = value
            .parameters()
            .into_iter()
            .map(|(parameter, value)| format!(", {} = {}", parameter.name, toml::Value::Float(value)));
        format!("{{ {TYPE} = \"{}\"{} }}", value.kind(), parameters.collect::<String>())
    }
}

fn kinds() -> String {
    let kinds = Effect::kinds();
    let kinds: Vec<&str> = kinds.iter().map(Effect::kind).collect();
    sentence(&kinds)
}

fn of_kind(value: &Spanned<DeValue<'_>>) -> Read<Effect> {
    let Some(word) = value.get_ref().as_str() else {
        return Err(Wrong::kind(value, format!("one of {}", kinds())));
    };
    Effect::of_kind(word).ok_or_else(|| {
        let kinds = Effect::kinds();
        let names: Vec<&str> = kinds.iter().map(Effect::kind).collect();
        Wrong::value(
            value,
            match nearest(word, &names) {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None => format!("expected one of {}", sentence(&names)),
            },
        )
    })
}

fn set(effect: &mut Effect, name: &Spanned<DeString<'_>>, value: &Spanned<DeValue<'_>>) -> Read<()> {
    let parameters: Vec<&Parameter> =
        effect.parameters().into_iter().map(|(parameter, _)| parameter).collect();
    let Some(parameter) = parameters.iter().find(|parameter| parameter.name == name.get_ref()) else {
        let names: Vec<&str> = parameters.iter().map(|parameter| parameter.name).collect();
        let label = match nearest(name.get_ref(), &names) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("{} has {}", effect.kind(), sentence(&names)),
        };
        return Err(vec![Wrong { span: name.span(), is_type: false, label, help: None }]);
    };
    if !is_number(value.get_ref()) {
        return Err(Wrong::kind(value, parameter.expects()));
    }
    let number = number(value.get_ref()).filter(|number| parameter.allows(*number));
    let number = number.ok_or_else(|| Wrong::value(value, format!("expected {}", parameter.expects())))?;
    effect.set(parameter.name, number);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Read<Vec<Effect>> {
        EFFECTS.read(&DeValue::parse(text).expect("TOML"), Path::new("/"))
    }

    #[test]
    fn what_is_written_reads_back() {
        let effects = Effect::kinds();
        assert_eq!(read(&EFFECTS.write(&effects)), Ok(effects));
        assert_eq!(read("[]"), Ok(Vec::new()));
        let some = read("[{ type = 'compressor', ratio = 2 }]").expect("whole numbers are numbers");
        assert_eq!(
            EFFECTS.write(&some),
            "[{ type = \"compressor\", threshold_db = -20.0, ratio = 2.0, knee_db = 6.0, attack_ms = 5.0, \
             release_ms = 100.0, makeup_db = 0.0 }]"
        );
    }

    #[test]
    fn everything_that_is_wrong_is_told_in_its_place() {
        let text = "[{ type = 'compressor', ratoi = 2, knee_db = 99 }, { gain_db = 1 }, 5, \
                    { type = 'limiter', loud = 1, release_ms = 'x' }, { type = 'echo' }]";
        let wrongs = read(text).expect_err("all wrong");
        let told: Vec<(&str, &str)> =
            wrongs.iter().map(|wrong| (&text[wrong.span.clone()], wrong.label.as_str())).collect();
        let types = "gain, high_pass, low_pass, notch, peaking, low_shelf, high_shelf, compressor, limiter, \
                     loudness and reverb";
        assert_eq!(
            told,
            [
                ("99", "expected a number from 0 to 24"),
                ("ratoi", "did you mean `ratio`?"),
                ("{ gain_db = 1 }", format!("expected a `type`: one of {types}").as_str()),
                ("5", "expected an effect { type = \"…\", … }, found a whole number"),
                ("loud", "limiter has ceiling_dbtp, lookahead_ms and release_ms"),
                ("'x'", "expected a number from 5 to 5000, found a string"),
                ("'echo'", format!("expected one of {types}").as_str()),
            ]
        );
        let many = format!("[{}]", "{ type = 'gain' },".repeat(65));
        assert_eq!(read(&many).expect_err("too many")[0].label, "expected 64 effects or fewer");
    }
}
