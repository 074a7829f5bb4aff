//! Writing families of metrics under their full names, which are what people search for: the suffixes
//! and units that OpenMetrics wants told apart are read off the name.

use std::fmt;

use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use crate::tools::histogram::Times;

/// Writes one family after the other.
pub struct Families<'a> {
    encoder: DescriptorEncoder<'a>,
}

/// A name without its unit, and the unit.
fn split_unit(name: &str) -> (&str, Option<Unit>) {
    let units = [("_seconds", Unit::Seconds), ("_bytes", Unit::Bytes)];
    units
        .into_iter()
        .find_map(|(suffix, unit)| Some((name.strip_suffix(suffix)?, Some(unit))))
        .unwrap_or((name, None))
}

impl<'a> Families<'a> {
    /// Into this encoder.
    pub fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Self { encoder }
    }

    /// A family: what is written into it goes to `fill`.
    fn family(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        fill: impl FnOnce(MetricEncoder<'_>) -> fmt::Result,
    ) -> fmt::Result {
        let (stem, unit) = split_unit(name);
        fill(self.encoder.encode_descriptor(stem, help, unit.as_ref(), kind)?)
    }

    /// A value that goes up and down.
    pub fn gauge(&mut self, name: &str, help: &str, value: impl EncodeGaugeValue + Copy) -> fmt::Result {
        self.family(name, help, MetricType::Gauge, |mut family| family.encode_gauge(&value))
    }

    /// The same, left out while there is no value.
    pub fn gauge_if(
        &mut self,
        name: &str,
        help: &str,
        value: Option<impl EncodeGaugeValue + Copy>,
    ) -> fmt::Result {
        value.map_or(Ok(()), |value| self.gauge(name, help, value))
    }

    /// Gauges told apart by one label.
    pub fn gauges<'l, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'l str, V)>,
    ) -> fmt::Result {
        self.family(name, help, MetricType::Gauge, |mut family| {
            values
                .into_iter()
                .try_for_each(|(word, value)| family.encode_family(&[(label, word)])?.encode_gauge(&value))
        })
    }

    /// A value that only rises. The name ends in `_total`.
    pub fn counter(&mut self, name: &str, help: &str, value: impl EncodeCounterValue + Copy) -> fmt::Result {
        self.family(stem_of_counter(name), help, MetricType::Counter, |mut family| {
            family.encode_counter::<NoLabelSet, _, u64>(&value, None)
        })
    }

    /// Counters told apart by one label.
    pub fn counters<'l>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'l str, u64)>,
    ) -> fmt::Result {
        self.family(stem_of_counter(name), help, MetricType::Counter, |mut family| {
            values.into_iter().try_for_each(|(word, value)| {
                family.encode_family(&[(label, word)])?.encode_counter::<NoLabelSet, _, u64>(&value, None)
            })
        })
    }

    /// Times by bucket.
    pub fn histogram(&mut self, name: &str, help: &str, times: &Times) -> fmt::Result {
        self.family(name, help, MetricType::Histogram, |mut family| {
            family.encode_histogram::<NoLabelSet>(times.sum_s, times.count, &times.buckets, None)
        })
    }

    /// A fact in a label. The name ends in `_info`.
    pub fn info(&mut self, name: &str, help: &str, (label, fact): (&str, &str)) -> fmt::Result {
        let stem = name.strip_suffix("_info").unwrap_or(name);
        self.family(stem, help, MetricType::Info, |mut family| family.encode_info(&[(label, fact)]))
    }
}

/// OpenMetrics names the family without the suffix that its samples have.
fn stem_of_counter(name: &str) -> &str {
    name.strip_suffix("_total").unwrap_or(name)
}
