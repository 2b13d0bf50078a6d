using AssistantQueue;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

var builder = Host.CreateApplicationBuilder();
var registered = builder.Services.AddAssistantMessageQueue(options => options.MessageDelay = TimeSpan.FromMilliseconds(100)).UseOpenAI();
#if !TRIMMED
registered.UseEmbeddedRedis().UseOpenAIEmulator();
#endif
using var host = builder.Build();
await host.StartAsync();

var queue = host.Services.GetRequiredService<IAssistantMessageQueue>();
var receipt = await queue.AddMessageToThreadAsync("c1", "Is my order late?");
var reply = await queue.WaitForReplyAsync(receipt).WaitAsync(TimeSpan.FromMinutes(1));
await host.StopAsync();
Console.WriteLine($"Answered: {reply.Text}");
#if !TRIMMED
// What it stands on is there until nobody reads from it any more: for the trimmed program.
Console.WriteLine($"Redis {host.Services.GetRequiredService<AssistantQueue.Emulators.EmbeddedRedis>().ConnectionString}");
Console.WriteLine($"OpenAI {host.Services.GetRequiredService<AssistantQueue.Emulators.OpenAIEmulator>().BaseUrl}");
await Console.In.ReadToEndAsync();
#endif
