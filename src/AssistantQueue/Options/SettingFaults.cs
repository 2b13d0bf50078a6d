using System.Globalization;

namespace AssistantQueue;

/// <summary>Collects what is wrong with settings: each fault names the setting, its value and what it must be.</summary>
internal sealed class SettingFaults(string path)
{
    private readonly List<string> _faults = [];

    public IReadOnlyList<string> All => _faults;

    public void Add(string fault) => _faults.Add(fault);

    /// <summary>The setting's full name.</summary>
    public string Name(string setting) => $"{path}:{setting}";

    public void Range(string setting, int value, int from, int to) => Check(value >= from && value <= to, setting, Number(value), $"{Number(from)} to {Number(to)}");

    public void Range(string setting, TimeSpan value, TimeSpan from, TimeSpan to) => Check(value >= from && value <= to, setting, value.ToString(), $"{from} to {to}");

    public void Defined<T>(string setting, T value)
        where T : struct, Enum =>
        Check(Enum.IsDefined(value), setting, value.ToString(), string.Join(" or ", Enum.GetNames<T>()));

    public void Check(bool isGood, string setting, string? value, string mustBe)
    {
        if (!isGood)
        {
            _faults.Add($"{Name(setting)} is {(value is { Length: > 0 } ? value : "empty")}; it must be {mustBe}");
        }
    }

    public static string Number(int value) => value.ToString("N0", CultureInfo.InvariantCulture);

    /// <summary>A rule between two settings.</summary>
    public void AtLeast(string larger, TimeSpan largerValue, string smaller, TimeSpan smallerValue, string why)
    {
        if (largerValue < smallerValue)
        {
            _faults.Add($"{Name(larger)} is {largerValue} and {Name(smaller)} is {smallerValue}; {why}: raise the first or lower the second");
        }
    }
}
