using System.Net.Http.Headers;
using System.Text.Json;

namespace AssistantQueue.Emulators;

/// <summary>Steers and reads an emulator in another process, over HTTP. Thread-safe.</summary>
/// <param name="controlUrl">The emulator's <see cref="OpenAIEmulator.ControlUrl"/>; any of its other URLs will do.</param>
public sealed class OpenAIEmulatorControl(Uri controlUrl) : IDisposable
{
    private readonly HttpClient http = new() { BaseAddress = new Uri(controlUrl, "/__emulator/") };

    /// <summary>Reads the ledger.</summary>
    /// <param name="requests">False leaves the requests out, which are the most of it.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    /// <returns>The ledger up to now.</returns>
    /// <exception cref="HttpRequestException">The emulator can't be reached.</exception>
    public async Task<LedgerSnapshot> GetLedgerAsync(bool requests = true, CancellationToken cancellationToken = default) =>
        LedgerSnapshot.Parse(await http.GetStringAsync(new Uri($"ledger?requests={(requests ? "true" : "false")}", UriKind.Relative), cancellationToken).ConfigureAwait(false));

    /// <summary>Waits until the ledger is as a test wants it; each look is answered when there is something new.</summary>
    /// <param name="condition">What to wait for; requests are left out of what it sees.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <returns>The first ledger that fulfils the condition, without its requests.</returns>
    /// <exception cref="HttpRequestException">The emulator can't be reached.</exception>
    public async Task<LedgerSnapshot> WaitForLedgerAsync(Func<LedgerSnapshot, bool> condition, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(condition);
        for (var ledger = await GetLedgerAsync(requests: false, cancellationToken).ConfigureAwait(false); ;)
        {
            if (condition(ledger))
            {
                return ledger;
            }

            ledger = LedgerSnapshot.Parse(await http.GetStringAsync(new Uri($"ledger?requests=false&after={ledger.LastSequence}", UriKind.Relative), cancellationToken).ConfigureAwait(false));
        }
    }

    /// <summary>Adds a fault behind those that are there.</summary>
    /// <param name="fault">The fault.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    /// <returns>Its id.</returns>
    /// <exception cref="HttpRequestException">The emulator can't be reached.</exception>
    public async Task<int> AddFaultAsync(OpenAIFault fault, CancellationToken cancellationToken = default)
    {
        var json = await PostAsync("faults", JsonSerializer.SerializeToUtf8Bytes(fault, ControlJson.Default.OpenAIFault), cancellationToken).ConfigureAwait(false);
        return JsonSerializer.Deserialize(json, ControlJson.Default.FaultIds)!.Ids[0];
    }

    /// <summary>Takes all faults out.</summary>
    /// <param name="cancellationToken">Ends the call.</param>
    /// <returns>A task that ends when none strikes any more.</returns>
    /// <exception cref="HttpRequestException">The emulator can't be reached.</exception>
    public async Task ClearFaultsAsync(CancellationToken cancellationToken = default)
    {
        using var response = await http.DeleteAsync(new Uri("faults", UriKind.Relative), cancellationToken).ConfigureAwait(false);
        response.EnsureSuccessStatusCode();
    }

    /// <summary>Changes settings.</summary>
    /// <param name="settings">Those to change; the others stay null.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    /// <returns>All settings as they are now.</returns>
    /// <exception cref="HttpRequestException">The emulator can't be reached.</exception>
    public async Task<EmulatorSettings> ChangeAsync(EmulatorSettings settings, CancellationToken cancellationToken = default)
    {
        var json = await PostAsync("settings", JsonSerializer.SerializeToUtf8Bytes(settings, ControlJson.Default.EmulatorSettings), cancellationToken).ConfigureAwait(false);
        return JsonSerializer.Deserialize(json, ControlJson.Default.EmulatorSettings)!;
    }

    /// <summary>Ends a run as <c>expired</c>.</summary>
    /// <param name="runId">The run.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    /// <returns>A task that ends when it has been told.</returns>
    /// <exception cref="HttpRequestException">There is no such run under way, or no emulator.</exception>
    public Task ExpireAsync(string runId, CancellationToken cancellationToken = default) => PostAsync($"runs/{Uri.EscapeDataString(runId)}/expire", [], cancellationToken);

    /// <inheritdoc/>
    public void Dispose() => http.Dispose();

    private async Task<byte[]> PostAsync(string path, byte[] json, CancellationToken cancellationToken)
    {
        using var content = new ByteArrayContent(json);
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        using var response = await http.PostAsync(new Uri(path, UriKind.Relative), content, cancellationToken).ConfigureAwait(false);
        response.EnsureSuccessStatusCode();
        return await response.Content.ReadAsByteArrayAsync(cancellationToken).ConfigureAwait(false);
    }
}
